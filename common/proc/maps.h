// SPDX-License-Identifier: Apache-2.0
//
// /proc/PID/maps: the mappings of a process and what kind of memory each one is. Used by preflight,
// the deputy (description of the address space) and the keeper (its own fresh body).
//
// The text is ambiguous in two ways that readers of `path` must allow for: the kernel escapes newlines only, so a name
// that really contains the four characters \012 looks the same; and a file whose name ends in " (deleted)" looks like a
// removed one. Code that opens a path must compare device and inode.
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/base/text.h"

namespace om::proc {

enum class MapKind : uint8_t {
  kAnon,  // private anonymous, [anon:NAME], private /dev/zero
  kFile,  // a file, private or shared; POSIX shared memory is a file below /dev/shm
  kHeap,
  kStack,
  kVvar,  // [vvar], [vvar_vclock]
  kVdso,
  kVsyscall,
  kSpecialOther,  // any other name in brackets, for example [uprobes]
  kSysvShm,       // inode is the shmid
  kAnonShared,    // MAP_SHARED | MAP_ANONYMOUS, shared /dev/zero, [anon_shmem:NAME]
  kMemFd,
  kHugetlb,  // recognised by name only; smaps' `ht` flag finds all
  kDevice,   // device nodes, io_uring and AIO rings, packet and perf rings, secret memory
};

std::string_view to_string(MapKind kind);

struct Mapping {
  uint64_t start = 0;  // [start, end), page aligned
  uint64_t end = 0;
  int prot = 0;  // PROT_*
  bool shared = false;
  bool deleted = false;  // the kernel appended " (deleted)"; it is not part of `path`
  MapKind kind = MapKind::kAnon;
  uint64_t offset = 0;  // bytes
  uint32_t dev_major = 0;
  uint32_t dev_minor = 0;
  uint64_t inode = 0;
  std::string
      path;  // unescaped; also "[heap]", "anon_inode:[io_uring]", ...; empty for plain memory

  bool operator==(const Mapping&) const = default;
  uint64_t size() const { return end - start; }
  // Only for named files: "libom.so" of "/usr/lib/libom.so".
  std::string_view basename() const;
};

// One line, without newline. EBADMSG if it is not a maps line.
Result<Mapping> parse_maps_line(std::string_view line);

// The whole text; the mappings must also ascend. In a running process a mapping may grow, between two reads, over
// addresses that were shown already: the later line is right, and replaces what it covers.
Result<std::vector<Mapping>> parse_maps(std::string_view text);

// Makes room in `list` so that `next` can be appended; `map_of` gives the Mapping of an element. False if `next` cannot
// be from a later moment of the same list: it ends where the last one does, or before.
template <typename List, typename MapOf>
bool make_room(List& list, const Mapping& next, MapOf map_of) {
  if (list.empty() || next.start >= map_of(list.back()).end) return true;
  if (next.end <= map_of(list.back()).end) return false;
  while (!list.empty() && map_of(list.back()).start >= next.start) list.pop_back();
  if (!list.empty() && map_of(list.back()).end > next.start) map_of(list.back()).end = next.start;
  return true;
}

// Empty for a kernel thread and for a main thread that has exited. The kernel produces a page of text at a time, so the
// list of a running process is not one snapshot: each line was true at a moment of its own.
Result<std::vector<Mapping>> read_maps(pid_t pid);

// The mapping that contains `address`, or nullptr. `maps` must be ascending, as all lists here are.
const Mapping* find_mapping(const std::vector<Mapping>& maps, uint64_t address);

}  // namespace om::proc

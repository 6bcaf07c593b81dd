// SPDX-License-Identifier: Apache-2.0
//
// What can be known about a process before anything is stopped: the reasons of common/movable/reasons.h
// that FoundBy::kPreflight marks. Reads /proc and makes harmless calls only (kcmp, prlimit, kill
// with signal 0); the process notices nothing and may change right after, so the deputy looks again when
// the threads stand. A process may have several reasons, all are returned: in the order
// of the table, but that libom.so is missing comes last, as what follows from another.
//
// Used by om-migrator (`om migrate`, `om why`), om-deputy and the command line (`om check`).
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/elf/elf_file.h"
#include "common/movable/reasons.h"
#include "common/proc/process.h"
#include "common/proc/sharers.h"
#include "common/proc/smaps.h"
#include "common/proc/status.h"

namespace om {

struct ProcessReport {
  std::vector<Reason> reasons;  // at most one for a code; the first is the cause
  // Shared mappings of memory (kAnonShared, kMemFd, kSysvShm) that nobody else was seen to hold:
  // they may move, but the deputy has to copy them whole (see common/proc/pagemap.h).
  std::vector<proc::Mapping> lone_shared;
  // Memory objects that nobody else has, and that the process sees in more than one way: they move as what they are.
  struct Object {
    proc::ObjectId id;
    bool is_open;  // through a descriptor of its own
  };
  std::vector<Object> objects;
  // Shared mappings of files that are written back now and then (common/movable/lazy_shared.h).
  std::vector<proc::Mapping> lazy_shared;
  // Files that are mapped shared and that only a lease keeps as they are.
  std::vector<std::string> to_lease;
  std::vector<proc::SmapsEntry> maps;  // what was looked at
};

// All of it. An empty list of reasons: nothing speaks against a move so far.
ProcessReport inspect_process(pid_t pid);

// The same a moment later, for a caller who has stopped the threads: that he traces them is no reason. What takes time
// in proportion to the memory (smaps) is taken from the report before where maps are as they were then.
ProcessReport inspect_stopped(pid_t pid, const ProcessReport& before);

std::vector<Reason> preflight_process(pid_t pid);

// What was read about a process, for the checks that need nothing else.
struct ProcessView {
  proc::Status leader;
  std::vector<proc::Status> threads;  // living ones, the leader among them
  std::vector<proc::SmapsEntry> maps;
  std::vector<proc::FdEntry> fds;
  std::optional<rlimit> nofile;    // hard limit already cut to fs.nr_open
  std::optional<rlimit> as, data;  // RLIMIT_AS, RLIMIT_DATA
  std::optional<ElfFile> program;  // of /proc/PID/exe
  bool secure_exec = false;        // AT_SECURE
  pid_t tracer = 0;                // one that is no reason
};

// The checks without system calls: everything but sharing, NOT_DUMPABLE, SHARED_MM, FD_TABLE and the
// request's codes.
std::vector<Reason> check_view(const ProcessView& view);

// Thread slots that libom prepares for a process with `threads` threads: each needs address space (scarce
// under RLIMIT_AS) and a descriptor number below the hard limit of RLIMIT_NOFILE.
uint32_t thread_slots(size_t threads, uint64_t as_limit, uint64_t fd_limit);

constexpr uint64_t kFdMost = 65536;  // libom's are below: the kernel's table grows with the number

// First of `need` successive descriptor numbers for libom: as high as possible below `fd_limit` (hard limit of
// RLIMIT_NOFILE), none of them open. nullopt if there are not so many.
std::optional<int> find_descriptors(std::span<const proc::FdEntry> open, uint64_t fd_limit,
                                    uint32_t need);

struct CommandReport {
  std::string path;                  // the ELF program that will run
  std::vector<std::string> scripts;  // scripts it runs, outermost first
  std::vector<Reason> reasons;
};

// For `om check -- argv`: what is known before the program starts. Error: ENOENT not found, EACCES
// not executable, ENOEXEC or EBADMSG not a program, EINVAL empty argv.
Result<CommandReport> preflight_command(std::span<const std::string> argv,
                                        std::string_view path_env);

}  // namespace om

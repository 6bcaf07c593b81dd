// SPDX-License-Identifier: Apache-2.0
//
// /proc/PID/pagemap: which pages of a range hold something. Frame numbers are hidden from ordinary
// users, the state bits are not. Used by the deputy to decide what to send.
//
// Of a private mapping of a file, a page without `file` is the process's own copy, one with it is
// unchanged page cache. A page of shared memory (kAnonShared, kMemFd, kSysvShm) that has been
// swapped out shows as absent: those mappings have to be copied whole, or by SEEK_DATA where there
// is a descriptor.
#pragma once

#include <stdint.h>

#include <functional>
#include <vector>

#include "common/proc/text.h"

namespace om::proc {

// Pages asked for in one read: 4 KiB of answers.
constexpr size_t kPagemapBatch = 512;

struct PageRun {
  uint64_t start = 0;  // [start, end), page aligned
  uint64_t end = 0;
  bool file =
      false;  // page cache or shared memory; false: private to the process, swapped ones included
  bool guard = false;  // MADV_GUARD_INSTALL: nothing to read, touching it is a fault (kernel 6.15
                       // and later tell; on 6.13 and 6.14 guard pages look like swapped ones)

  bool operator==(const PageRun&) const = default;
};

// Bits of one pagemap entry, for callers that read entries themselves.
constexpr uint64_t kPagePresent = uint64_t{1} << 63;
constexpr uint64_t kPageSwapped = uint64_t{1} << 62;
constexpr uint64_t kPageFile = uint64_t{1} << 61;
constexpr uint64_t kPageGuard = uint64_t{1} << 58;

class Pagemap {
 public:
  static Result<Pagemap> open(pid_t pid);

  // Calls `visit` for every maximal run of present or swapped pages of one sort in [start, end),
  // ascending. EINVAL unless both are page aligned user addresses and start <= end. ESRCH if the
  // process has ended or has exec'ed since open() (the file stays bound to the old memory).
  Result<void> for_each_run(uint64_t start, uint64_t end,
                            const std::function<void(const PageRun&)>& visit) const;

  Result<std::vector<PageRun>> runs(uint64_t start, uint64_t end) const;

 private:
  explicit Pagemap(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace om::proc

// SPDX-License-Identifier: Apache-2.0
//
// /proc/PID/pagemap: which pages of a range are populated. The kernel hides frame numbers from ordinary users, but not
// the state bits. Deputy and keeper use it to decide what to send.
//
// Programs reserve terabytes that they never touch, and reading an entry of 8 bytes for each such page takes 20 ms a
// GiB. In long ranges the populated parts are therefore located first: with PAGEMAP_SCAN (Linux 6.7), which steps over
// missing page tables, or else from what smaps says of whole mappings. The process must be stopped.
//
// In a private mapping of a file, a page without `file` is the process's own copy, one with it is unchanged page cache.
// A swapped-out page of shared memory (kAnonShared, kMemFd, kSysvShm) shows as absent: such mappings must be copied
// whole, or by SEEK_DATA where there is a descriptor.
#pragma once

#include <stdint.h>

#include <functional>
#include <vector>

#include "common/base/text.h"
#include "common/base/unique_fd.h"

namespace om::proc {

// Pages in one read: 4 KiB of entries.
constexpr size_t kPagemapBatch = 512;
// Entries that some_runs() reads before it returns: about 5 ms.
constexpr uint64_t kPagemapSlice = 1 << 18;

struct PageRun {
  uint64_t start = 0;  // [start, end), page aligned
  uint64_t end = 0;
  bool file =
      false;  // page cache or shared memory; false: private to the process, swapped ones included
  bool guard = false;  // MADV_GUARD_INSTALL: nothing to read, touching it is a fault (kernel 6.15
                       // and later tell; on 6.13 and 6.14 guard pages look like swapped ones)

  bool operator==(const PageRun&) const = default;
};

// Bits of a pagemap entry, for callers that read entries themselves.
constexpr uint64_t kPagePresent = uint64_t{1} << 63;
constexpr uint64_t kPageSwapped = uint64_t{1} << 62;
constexpr uint64_t kPageFile = uint64_t{1} << 61;
constexpr uint64_t kPageGuard = uint64_t{1} << 58;

// How to search long ranges; the second is for tests.
enum class PagemapWay { kBest, kSmaps };

class Pagemap {
 public:
  static Result<Pagemap> open(pid_t pid, PagemapWay way = PagemapWay::kBest);

  // Calls `visit` for every maximal run of present or swapped pages of one kind in [start, end), ascending. EINVAL
  // unless both are page-aligned user addresses and start <= end. ESRCH if the process has ended or has exec'ed since
  // open() (the file stays bound to the old memory).
  Result<void> for_each_run(uint64_t start, uint64_t end,
                            const std::function<void(const PageRun&)>& visit) const;

  Result<std::vector<PageRun>> runs(uint64_t start, uint64_t end) const;

  // Appends runs of [start, end), but stops after kPagemapSlice pages, for callers with other work to do in between.
  // Returns where to continue, `end` when done. A run may be split there.
  Result<uint64_t> some_runs(uint64_t start, uint64_t end, std::vector<PageRun>& found) const;

 private:
  struct Span {
    uint64_t start, end;
  };
  Pagemap(pid_t pid, UniqueFd fd, PagemapWay way) : pid_(pid), fd_(std::move(fd)), way_(way) {}
  Result<uint64_t> look(uint64_t start, uint64_t end, uint64_t pages,
                        const std::function<void(const PageRun&)>& visit) const;
  Result<uint64_t> find_filled(uint64_t start, uint64_t end, std::vector<Span>& spans) const;
  Result<void> read_smaps() const;

  pid_t pid_;
  UniqueFd fd_;
  mutable PagemapWay way_;
  mutable bool know_filled_ = false;
  mutable std::vector<Span> filled_;  // mappings that are populated, according to smaps
};

}  // namespace om::proc

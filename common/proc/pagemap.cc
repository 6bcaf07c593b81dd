// SPDX-License-Identifier: Apache-2.0
#include "common/proc/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "common/proc/proc_file.h"
#include "common/proc/smaps.h"

namespace om::proc {
namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kUserEnd = uint64_t{1}
                              << 56;  // with five levels of page tables; [vsyscall] is above
constexpr uint64_t kShort = uint64_t{2} << 20;  // a range short enough to read all entries at once

// linux/fs.h has them from 6.7 on.
struct ScanRegion {
  uint64_t start, end, categories;
};
struct ScanRequest {
  uint64_t size, flags, start, end, walk_end, regions, region_count, max_pages, inverted, all_of,
      any_of, reported;
};
constexpr unsigned long kPagemapScan = _IOWR('f', 16, ScanRequest);
constexpr uint64_t kScanPresent = 1 << 3, kScanSwapped = 1 << 4;
constexpr size_t kScanRegions = 256;

// Joins adjacent pages of one kind.
class RunMerger {
 public:
  explicit RunMerger(const std::function<void(const PageRun&)>& visit) : visit_(visit) {}

  void add(uint64_t address, uint64_t entry) {
    if ((entry & (kPagePresent | kPageSwapped)) == 0) return flush();
    PageRun page{address, address + kPageBytes, (entry & kPageFile) != 0,
                 (entry & kPageGuard) != 0};
    // An open run ends where this page begins, because every page in between has been added too.
    if (open_ && run_.file == page.file && run_.guard == page.guard) {
      run_.end = page.end;
      return;
    }
    flush();
    run_ = page;
    open_ = true;
  }

  void flush() {
    if (open_) visit_(run_);
    open_ = false;
  }

 private:
  const std::function<void(const PageRun&)>& visit_;
  PageRun run_;
  bool open_ = false;
};

}  // namespace

Result<Pagemap> Pagemap::open(pid_t pid, PagemapWay way) {
  return Pagemap(pid, OM_TRY(open_proc(pid, "pagemap", O_RDONLY)), way);
}

Result<void> Pagemap::for_each_run(uint64_t start, uint64_t end,
                                   const std::function<void(const PageRun&)>& visit) const {
  auto done = look(start, end, UINT64_MAX, visit);
  if (!done) return done.error();
  return {};
}

Result<std::vector<PageRun>> Pagemap::runs(uint64_t start, uint64_t end) const {
  std::vector<PageRun> found;
  Result<void> done = for_each_run(start, end, [&](const PageRun& run) { found.push_back(run); });
  if (!done) return done.error();
  return found;
}

Result<uint64_t> Pagemap::some_runs(uint64_t start, uint64_t end,
                                    std::vector<PageRun>& found) const {
  return look(start, end, kPagemapSlice, [&](const PageRun& run) { found.push_back(run); });
}

// Reads at most `pages` entries. Returns where it stopped.
Result<uint64_t> Pagemap::look(uint64_t start, uint64_t end, uint64_t pages,
                               const std::function<void(const PageRun&)>& visit) const {
  if (((start | end) & (kPageBytes - 1)) != 0 || start > end || end > kUserEnd) {
    return Error{EINVAL, "pagemap: bad range"};
  }
  RunMerger merger(visit);
  uint64_t entries[kPagemapBatch];
  std::vector<Span> spans;
  for (uint64_t at = start; at < end;) {
    spans.clear();
    const uint64_t looked = OM_TRY(find_filled(at, end, spans));
    for (const Span& span : spans) {
      if (span.start != at) merger.flush();
      for (at = span.start; at < span.end;) {
        if (pages == 0) {
          merger.flush();
          return at;
        }
        const size_t count =
            std::min({uint64_t{kPagemapBatch}, (span.end - at) / kPageBytes, pages});
        const auto position = static_cast<off_t>(at / kPageBytes * sizeof(uint64_t));
        ssize_t n = ::pread(fd_.get(), entries, count * sizeof(uint64_t), position);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno_error("read pagemap");
        // Always a whole number of entries; none at all if the memory is gone.
        size_t got = static_cast<size_t>(n) / sizeof(uint64_t);
        if (got == 0) return Error{ESRCH, "read pagemap"};
        for (size_t i = 0; i < got; ++i) merger.add(at + i * kPageBytes, entries[i]);
        at += got * kPageBytes;
        pages -= got;
      }
    }
    if (at < looked) merger.flush();
    at = looked;
  }
  merger.flush();
  return end;
}

// Finds the parts of [start, end), ascending, that may be populated. Returns the address up to which it has looked:
// nothing is populated outside the parts before it.
Result<uint64_t> Pagemap::find_filled(uint64_t start, uint64_t end,
                                      std::vector<Span>& spans) const {
  if (end - start <= kShort) {
    spans.push_back({start, end});
    return end;
  }
  if (way_ == PagemapWay::kBest) {
    ScanRegion regions[kScanRegions];
    ScanRequest request{};
    request.size = sizeof request;
    request.start = start;
    request.end = end;
    request.regions = reinterpret_cast<uint64_t>(regions);
    request.region_count = kScanRegions;
    request.any_of = request.reported = kScanPresent | kScanSwapped;
    const long n = ::ioctl(fd_.get(), kPagemapScan, &request);
    if (n >= 0 && request.walk_end > start && request.walk_end <= end) {
      for (long i = 0; i < n; i++) {
        if (!spans.empty() && spans.back().end == regions[i].start) {
          spans.back().end = regions[i].end;
        } else {
          spans.push_back({regions[i].start, regions[i].end});
        }
      }
      return request.walk_end;
    }
    if (n < 0 && errno == ESRCH) return Error{ESRCH, "scan pagemap"};
    way_ = PagemapWay::kSmaps;
  }
  if (!know_filled_) OM_TRY(read_smaps());
  for (const Span& f : filled_) {
    const uint64_t lo = std::max(f.start, start), hi = std::min(f.end, end);
    if (lo < hi) spans.push_back({lo, hi});
  }
  return end;
}

Result<void> Pagemap::read_smaps() const {
  for (const SmapsEntry& entry : OM_TRY(proc::read_smaps(pid_))) {
    if (entry.rss_bytes == 0 && entry.swap_bytes == 0) continue;
    filled_.push_back({entry.map.start, entry.map.end});
  }
  know_filled_ = true;
  return {};
}

}  // namespace om::proc

// SPDX-License-Identifier: Apache-2.0
#include "common/proc/pagemap.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace om::proc {
namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kUserEnd = uint64_t{1}
                              << 56;  // with five levels of page tables; [vsyscall] is above

// Joins neighbouring pages of one sort.
class RunMerger {
 public:
  explicit RunMerger(const std::function<void(const PageRun&)>& visit) : visit_(visit) {}

  void add(uint64_t address, uint64_t entry) {
    if ((entry & (kPagePresent | kPageSwapped)) == 0) return flush();
    PageRun page{address, address + kPageBytes, (entry & kPageFile) != 0,
                 (entry & kPageGuard) != 0};
    // An open run ends where this page begins: every page between has been added too.
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

Result<Pagemap> Pagemap::open(pid_t pid) {
  return Pagemap(OM_TRY(open_proc(pid, "pagemap", O_RDONLY)));
}

Result<void> Pagemap::for_each_run(uint64_t start, uint64_t end,
                                   const std::function<void(const PageRun&)>& visit) const {
  if (((start | end) & (kPageBytes - 1)) != 0 || start > end || end > kUserEnd) {
    return Error{EINVAL, "pagemap: bad range"};
  }
  RunMerger merger(visit);
  uint64_t entries[kPagemapBatch];
  for (uint64_t address = start; address < end;) {
    size_t count = std::min<uint64_t>(kPagemapBatch, (end - address) / kPageBytes);
    off_t position = static_cast<off_t>(address / kPageBytes * sizeof(uint64_t));
    ssize_t n = ::pread(fd_.get(), entries, count * sizeof(uint64_t), position);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error("read pagemap");
    // A whole number of entries always; none at all when the memory is gone.
    size_t got = static_cast<size_t>(n) / sizeof(uint64_t);
    if (got == 0) return Error{ESRCH, "read pagemap"};
    for (size_t i = 0; i < got; ++i) merger.add(address + i * kPageBytes, entries[i]);
    address += got * kPageBytes;
  }
  merger.flush();
  return {};
}

Result<std::vector<PageRun>> Pagemap::runs(uint64_t start, uint64_t end) const {
  std::vector<PageRun> found;
  Result<void> done = for_each_run(start, end, [&](const PageRun& run) { found.push_back(run); });
  if (!done) return done.error();
  return found;
}

}  // namespace om::proc

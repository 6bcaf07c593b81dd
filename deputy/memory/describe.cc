// SPDX-License-Identifier: Apache-2.0
//
// The description of the stopped process: kilobytes that tell the keeper what to build.
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>

#include "common/base/log.h"
#include "common/proc/pagemap.h"
#include "common/proc/process.h"
#include "common/proc/smaps.h"
#include "common/proc/stat.h"
#include "common/proc/status.h"
#include "deputy/base/host.h"
#include "deputy/memory/body_vdso.h"
#include "deputy/mover.h"

namespace om::deputy {
namespace {

// `ranges` without [lo, hi).
std::vector<Range> without(const std::vector<Range>& ranges, uint64_t lo, uint64_t hi) {
  std::vector<Range> left;
  for (const Range& r : ranges) {
    if (r.lo < std::min(r.hi, lo)) left.push_back({r.lo, std::min(r.hi, lo)});
    if (std::max(r.lo, hi) < r.hi) left.push_back({std::max(r.lo, hi), r.hi});
  }
  return left;
}

// Mappings that are locked into memory. What tells is slow to read, and most processes have none.
Result<std::vector<Range>> locked_memory(pid_t pid) {
  const pid_t shown = proc::memory_tid(pid);
  std::vector<Range> locked;
  if (OM_TRY(proc::read_status(shown)).vm_locked_bytes == 0) return locked;
  for (const auto& entry : OM_TRY(proc::read_smaps(shown))) {
    if (entry.flags.has("lo")) locked.push_back({entry.map.start, entry.map.end});
  }
  return locked;
}

}  // namespace

// Where the pages of a file mapping end: at its end, or at the file's.
uint64_t Mover::readable_end(const Range& part) const {
  std::byte byte;
  auto readable = [&](uint64_t page) {
    return home_.target->memory.read(page, std::span(&byte, 1)).ok();
  };
  if (readable(part.hi - kPageSize)) return part.hi;
  uint64_t lo = 0, hi = (part.hi - part.lo) / kPageSize - 1;  // pages; hi is not readable
  while (lo < hi) {
    const uint64_t middle = lo + (hi - lo) / 2;
    if (readable(part.lo + middle * kPageSize)) {
      lo = middle + 1;
    } else {
      hi = middle;
    }
  }
  return part.lo + lo * kPageSize;
}

// A mapping of a memory object. What lies behind the object's end has no pages.
void Mover::describe_view(const MemoryObject& object, const proc::Mapping& map, const Range& part) {
  const uint64_t offset = map.offset + (part.lo - map.start);
  if (offset < page_up(object.bytes)) {
    regions_.push_back(
        {part.lo, part.hi, map.prot, kKindView, false, true, false, object.view + offset});
  } else {
    regions_.push_back({part.lo, part.hi, PROT_NONE, kKindMemory, false, true, true});
  }
  file_ranges_.push_back({part.lo | kRangeObject, part.hi});
}

Step Mover::describe_memory() {
  regions_.clear();
  file_ranges_.clear();
  guards_.clear();
  vdso_lo_ = vdso_hi_ = 0;
  uint64_t vdso_start = 0;
  uint64_t below = 0;  // end of the mapping before
  auto of_libom = OM_MUST(executor_memory(home_));
  of_libom.push_back({home_.arena, home_.arena + arena_bytes(home_.state.nslots)});
  const auto stack_limit = OM_MUST(proc::read_limit(home_.pid, RLIMIT_STACK));
  const uint64_t most = std::min<uint64_t>(stack_limit.rlim_cur, kMaxStackRoom);
  const auto locked = OM_MUST(locked_memory(home_.pid));
  for (const auto& m : home_.target->maps) {
    const uint64_t previous = below;
    below = m.end;
    switch (m.kind) {
      case proc::MapKind::kVsyscall:
        continue;
      case proc::MapKind::kVvar:
      case proc::MapKind::kVdso:
        if (vdso_lo_ == 0) vdso_lo_ = m.start;
        if (m.kind == proc::MapKind::kVdso) vdso_start = m.start;
        vdso_hi_ = m.end;
        continue;
      case proc::MapKind::kStack: {
        // The body gets it grown already, as far as it may grow: nothing else can be put in its way.
        uint64_t lo = m.end > most ? (m.end - most) & ~(kPageSize - 1) : m.start;
        if (lo < previous + kStackGap) lo = previous + kStackGap;
        if (lo > m.start) lo = m.start;
        regions_.push_back({lo, m.end, m.prot, kKindStack, false, false});
        if (lo >= previous + kStackGap)
          regions_.push_back({lo - kStackGap, lo, 0, kKindReserve, false, false});
        continue;
      }
      case proc::MapKind::kAnon:
      case proc::MapKind::kHeap:
      case proc::MapKind::kFile:
      case proc::MapKind::kAnonShared:
      case proc::MapKind::kMemFd:
      case proc::MapKind::kSysvShm:
      case proc::MapKind::kSpecialOther:
      case proc::MapKind::kHugetlb:
      case proc::MapKind::kDevice:
        break;
    }
    // What a private mapping of a memfd shows where it has not been written to is the memfd's, as with a file.
    const bool file =
        m.kind == proc::MapKind::kFile || (m.kind == proc::MapKind::kMemFd && !m.shared);
    const MemoryObject* object = object_of(m);
    // libom's own memory does not travel; its bss may share a mapping with memory of the program beside it.
    std::vector<Range> parts =
        without({{m.start, m.end}}, home_.target->image_lo(), home_.target->image_hi());
    for (const Range& own : of_libom) parts = without(parts, own.lo, own.hi);
    for (const Range& part : parts) {
      if (object != nullptr) {
        describe_view(*object, m, part);
        continue;
      }
      const uint64_t end = file && (m.prot & PROT_READ) ? readable_end(part) : part.hi;
      if (part.lo < end) regions_.push_back({part.lo, end, m.prot, kKindMemory, file, m.shared});
      // Behind the end of its file a mapping has no pages: the body must not have any there either. What
      // touches them comes home, where the kernel raises SIGBUS.
      if (end < part.hi)
        regions_.push_back({end, part.hi, PROT_NONE, kKindMemory, false, m.shared, true});
      if (file) file_ranges_.push_back(part);
      if (m.shared) file_ranges_.push_back({part.lo | kRangeShared, part.hi});
      if (std::any_of(locked.begin(), locked.end(),
                      [&](const Range& l) { return l.lo <= part.lo && part.hi <= l.hi; }))
        file_ranges_.push_back({part.lo | kRangeLocked, part.hi});
    }
  }
  const auto pagemap = OM_MUST(proc::Pagemap::open(proc::memory_tid(home_.pid)));
  for (const auto& r : regions_) {
    if (r.kind != kKindMemory) continue;
    for (const auto& run : OM_MUST(pagemap.runs(r.lo, r.hi))) {
      if (run.guard) guards_.push_back({run.start, run.end});
    }
  }
  vdso_image_.clear();
  if (vdso_start != 0) {
    std::vector<std::byte> image(vdso_hi_ - vdso_start);
    OM_MUST_VOID(home_.target->memory.read(vdso_start, image));
    vdso_image_ = OM_MUST(body_vdso(image, vdso_start - vdso_lo_, home_.target->anchor));
  }
  return Done{};
}

void Mover::describe(schema::Image::Builder image) {
  image.setEpoch(home_.state.epoch);
  const bool vdso = !vdso_image_.empty();
  const uint64_t vdso_start = vdso_hi_ - vdso_image_.size();
  const bool vvar = vdso_lo_ != 0 && vdso_lo_ < vdso_start;
  auto mappings =
      image.initMappings(static_cast<unsigned>(regions_.size()) + (vdso ? 1 : 0) + (vvar ? 1 : 0));
  unsigned n = 0;
  auto add = [&](uint64_t lo, uint64_t hi, int prot, uint32_t kind, uint64_t view = 0) {
    mappings[n].setLo(lo);
    mappings[n].setHi(hi);
    mappings[n].setProt(static_cast<uint32_t>(prot));
    mappings[n].setKind(kind);
    mappings[n].setView(view);
    n++;
  };
  for (const auto& r : regions_) add(r.lo, r.hi, r.prot, r.kind, r.view);
  if (vvar) add(vdso_lo_, vdso_start, PROT_NONE, kKindReserve);
  if (vdso) add(vdso_start, vdso_hi_, PROT_READ | PROT_EXEC, kKindMemory);

  auto threads = image.initThreads(static_cast<unsigned>(plans_.threads.size()));
  for (unsigned i = 0; i < plans_.threads.size(); i++) {
    plans_.threads[i].state.xstate_bytes = plans_.xsaves[i].size();
    threads[i].setState(kj::arrayPtr(reinterpret_cast<const kj::byte*>(&plans_.threads[i].state),
                                     sizeof(ThreadState)));
    threads[i].setXsave(kj::arrayPtr(reinterpret_cast<const kj::byte*>(plans_.xsaves[i].data()),
                                     plans_.xsaves[i].size()));
  }
  auto xstate = image.initXstate();
  xstate.setSize(xstate_layout_.size);
  xstate.setMxcsrMask(xstate_layout_.mxcsr_mask);
  xstate.setXcr0(xstate_layout_.xcr0);
  auto offsets = xstate.initOffsets(kXstateComponents);
  auto sizes = xstate.initSizes(kXstateComponents);
  for (unsigned i = 0; i < kXstateComponents; i++) {
    offsets.set(i, xstate_layout_.comp[i].offset);
    sizes.set(i, xstate_layout_.comp[i].size);
  }
  image.setPid(plans_.threads.empty() ? home_.pid : home_.inner_pid);
  const auto status = proc::read_status(home_.pid);
  auto ids = image.initIds(8);
  if (status) {
    image.setPpid(status->ppid);
    for (unsigned i = 0; i < 4; i++) ids.set(i, status->uid[i]);
    for (unsigned i = 0; i < 4; i++) ids.set(4 + i, status->gid[i]);
    // Signals whose handler is the program's own.
    image.setCaught(status->sig_caught);
  }
  const auto stat = proc::read_stat(proc::memory_tid(home_.pid));
  if (stat) image.setBrkStart(stat->start_brk);
  image.setBrkNow(settings_.brk_now);
  const auto data = proc::read_limit(home_.pid, RLIMIT_DATA);
  image.setBrkLimit(data ? data->rlim_cur : RLIM_INFINITY);
  utsname uts{};
  ::uname(&uts);
  image.setUts(kj::arrayPtr(reinterpret_cast<const kj::byte*>(&uts), sizeof uts));
  image.setVdsoLo(vdso_lo_);
  image.setVdsoHi(vdso_hi_);
  auto files = image.initFileRanges(static_cast<unsigned>(file_ranges_.size()));
  for (unsigned i = 0; i < file_ranges_.size(); i++) {
    files[i].setLo(file_ranges_[i].lo);
    files[i].setHi(file_ranges_[i].hi);
  }
  auto guards = image.initGuards(static_cast<unsigned>(guards_.size()));
  for (unsigned i = 0; i < guards_.size(); i++) {
    guards[i].setLo(guards_[i].lo);
    guards[i].setHi(guards_[i].hi);
  }
  image.setHomeMonoNs(static_cast<int64_t>(now_ns(CLOCK_MONOTONIC)));
  image.setHomeRealNs(static_cast<int64_t>(now_ns(CLOCK_REALTIME)));
  image.setFdSize(fd_size(home_.pid));
  image.setDeniesExec(settings_.denies_exec);
  image.setWritesFiles(!lazy_shared_.empty());
  auto objects = image.initObjects(static_cast<unsigned>(home_.state.object_count));
  for (unsigned i = 0; i < objects.size(); i++) {
    objects[i].setView(home_.state.objects[i].view);
    objects[i].setBytes(home_.state.objects[i].bytes);
    objects[i].setIsOpen(home_.state.objects[i].is_open != 0);
  }
}

}  // namespace om::deputy

// SPDX-License-Identifier: Apache-2.0
#include "deputy/memory/address_space.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>

#include "common/proc/pagemap.h"
#include "common/proc/process.h"
#include "common/proc/smaps.h"
#include "common/proc/stat.h"
#include "common/proc/status.h"
#include "deputy/home/executors.h"
#include "deputy/memory/body_vdso.h"
#include "deputy/memory/objects.h"
#include "libom/abi/memory.h"

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

// Mappings that are locked into memory. The file that tells is slow to read, and most processes have none.
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

uint64_t readable_end(const ProcessMemory& memory, const Range& part) {
  std::byte byte;
  auto readable = [&](uint64_t page) { return memory.read(page, std::span(&byte, 1)).ok(); };
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

uint64_t stack_start(const Target& target, uint64_t hi) {
  for (const auto& m : target.maps) {
    if (m.kind == proc::MapKind::kStack && m.end == hi) return m.start;
  }
  return hi;
}

// A mapping of a memory object. There are no pages beyond the object's end.
void AddressSpace::add_view(const HomeSide& home, const MemoryObject& object,
                            const proc::Mapping& map, const Range& part) {
  const uint64_t offset = map.offset + (part.lo - map.start);
  if (offset < page_up(object.bytes)) {
    const auto number = static_cast<uint32_t>(&object - home.state.objects);
    regions_.push_back(
        {part.lo, part.hi, map.prot, MappingKind::VIEW, false, true, false, number, offset});
  } else {
    regions_.push_back({part.lo, part.hi, PROT_NONE, MappingKind::MEMORY, false, true, true});
  }
  marks_.push_back({part.lo, part.hi, MarkKind::OBJECT});
}

// The body gets the stack already grown as far as it may grow, so that nothing else can be put in its way. `previous`
// is the end of the mapping below, `most` the largest size.
void AddressSpace::add_stack(const proc::Mapping& m, uint64_t previous, uint64_t most) {
  uint64_t lo = m.end > most ? (m.end - most) & ~(kPageSize - 1) : m.start;
  if (lo < previous + kStackGap) lo = previous + kStackGap;
  if (lo > m.start) lo = m.start;
  regions_.push_back({lo, m.end, m.prot, MappingKind::STACK, false, false});
  if (lo >= previous + kStackGap)
    regions_.push_back({lo - kStackGap, lo, 0, MappingKind::RESERVE, false, false});
}

void AddressSpace::add_part(const HomeSide& home, const proc::Mapping& m, const Range& part,
                            const std::vector<Range>& locked) {
  // Where a private mapping of a memfd has not been written to, it shows the memfd's contents, as with a file.
  const bool file =
      m.kind == proc::MapKind::kFile || (m.kind == proc::MapKind::kMemFd && !m.shared);
  const MemoryObject* object = object_of(home, m);
  if (object != nullptr) {
    add_view(home, *object, m, part);
    return;
  }
  const uint64_t end =
      file && (m.prot & PROT_READ) ? readable_end(home.target->memory, part) : part.hi;
  if (part.lo < end)
    regions_.push_back({part.lo, end, m.prot, MappingKind::MEMORY, file, m.shared});
  // Beyond the end of its file a mapping has no pages, and the body must not have any there either. A program that
  // touches them comes home, where the kernel raises SIGBUS.
  if (end < part.hi)
    regions_.push_back({end, part.hi, PROT_NONE, MappingKind::MEMORY, false, m.shared, true});
  if (file) marks_.push_back({part.lo, part.hi, MarkKind::FILE});
  if (m.shared) marks_.push_back({part.lo, part.hi, MarkKind::SHARED});
  if (std::any_of(locked.begin(), locked.end(),
                  [&](const Range& l) { return l.lo <= part.lo && part.hi <= l.hi; }))
    marks_.push_back({part.lo, part.hi, MarkKind::LOCKED});
}

Step AddressSpace::find_guards(const HomeSide& home) {
  const auto pagemap = OM_MUST(proc::Pagemap::open(proc::memory_tid(home.pid)));
  for (const auto& r : regions_) {
    if (r.kind != MappingKind::MEMORY) continue;
    for (const auto& run : OM_MUST(pagemap.runs(r.lo, r.hi))) {
      if (run.guard) marks_.push_back({run.start, run.end, MarkKind::GUARD});
    }
  }
  return Done{};
}

Step AddressSpace::describe(const HomeSide& home) {
  regions_.clear();
  marks_.clear();
  vdso_lo_ = vdso_hi_ = 0;
  uint64_t vdso_start = 0;
  uint64_t below = 0;  // end of the mapping before
  auto of_libom = OM_MUST(executor_memory(home));
  of_libom.push_back({home.arena, home.arena + arena_bytes(home.state.nslots)});
  const auto stack_limit = OM_MUST(proc::read_limit(home.pid, RLIMIT_STACK));
  const uint64_t most = std::min<uint64_t>(stack_limit.rlim_cur, kMaxStackRoom);
  const auto locked = OM_MUST(locked_memory(home.pid));
  for (const auto& m : home.target->maps) {
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
      case proc::MapKind::kStack:
        add_stack(m, previous, most);
        continue;
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
    // libom's own memory does not travel; its bss may share a mapping with memory of the program beside it.
    std::vector<Range> parts =
        without({{m.start, m.end}}, home.target->image_lo(), home.target->image_hi());
    for (const Range& own : of_libom) parts = without(parts, own.lo, own.hi);
    for (const Range& part : parts) add_part(home, m, part, locked);
  }
  OM_TRY(find_guards(home));
  vdso_image_.clear();
  if (vdso_start != 0) {
    std::vector<std::byte> image(vdso_hi_ - vdso_start);
    OM_MUST_VOID(home.target->memory.read(vdso_start, image));
    vdso_image_ = OM_MUST(body_vdso(image, vdso_start - vdso_lo_, home.target->anchor));
  }
  return Done{};
}

Result<std::vector<Range>> AddressSpace::own_memory(const HomeSide& home) const {
  std::vector<Range> own;
  const auto stat = OM_TRY(proc::read_stat(proc::memory_tid(home.pid)));
  for (const auto& r : regions_) {
    if (r.shared || (r.file && !(r.prot & PROT_WRITE))) continue;
    own.push_back({r.lo, r.kind == MappingKind::STACK
                             ? std::min(r.hi, stat.startstack & ~(kPageSize - 1))
                             : r.hi});
  }
  return own;
}

void AddressSpace::add_to(Description& image) const {
  for (const auto& r : regions_) {
    image.mappings.push_back(
        {r.lo, r.hi, static_cast<uint32_t>(r.prot), r.kind, r.object, r.offset});
  }
  if (const uint64_t start = vdso_start(); vdso_lo_ != 0 && vdso_lo_ < start)
    image.mappings.push_back({vdso_lo_, start, PROT_NONE, MappingKind::RESERVE});
  if (!vdso_image_.empty())
    image.mappings.push_back({vdso_start(), vdso_hi_, PROT_READ | PROT_EXEC, MappingKind::MEMORY});
  image.marks = marks_;
  image.process.vdso_lo = vdso_lo_;
  image.process.vdso_hi = vdso_hi_;
}

}  // namespace om::deputy

// SPDX-License-Identifier: Apache-2.0
#include "deputy/memory/ship.h"

#include <algorithm>

#include "common/proc/pagemap.h"
#include "common/proc/process.h"
#include "libom/abi/layout.h"

namespace om::deputy {
namespace {

// Sends what is readable of [lo, hi): other pages (beyond the end of a file, guard pages) have no contents to send.
void ship_range(PageSink& sink, const ProcessMemory& memory, uint64_t lo, uint64_t hi) {
  while (lo < hi) {
    const auto room = sink.buffer(hi - lo);
    const size_t whole = memory.read_some(lo, room) & ~(kPageSize - 1);
    sink.pages(lo, room.first(whole));
    lo += whole < room.size() ? whole + kPageSize : whole;
  }
}

Step ship_region(PageSink& sink, const HomeSide& home, const proc::Pagemap& pagemap,
                 const Region& r) {
  if (r.file || r.shared) {
    ship_range(sink, home.target->memory, r.lo, r.hi);
    return Done{};
  }
  const uint64_t lo = r.kind == MappingKind::STACK ? stack_start(*home.target, r.hi) : r.lo;
  for (const auto& run : OM_MUST(pagemap.runs(lo, r.hi))) {
    if (!run.guard) ship_range(sink, home.target->memory, run.start, run.end);
  }
  return Done{};
}

}  // namespace

Step ship_pages(PageSink& sink, const HomeSide& home, const AddressSpace& space,
                MemoryObjects& objects) {
  const auto pagemap = OM_MUST(proc::Pagemap::open(proc::memory_tid(home.pid)));
  for (const auto& r : space.regions()) {
    if (r.kind == MappingKind::MEMORY || r.kind == MappingKind::STACK)
      OM_TRY(ship_region(sink, home, pagemap, r));
  }
  OM_TRY(objects.ship(sink));
  sink.pages(space.vdso_start(), space.vdso_image());
  sink.end();
  return Done{};
}

}  // namespace om::deputy

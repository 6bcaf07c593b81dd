// SPDX-License-Identifier: Apache-2.0
#include "guest/checks.h"

#include <sys/resource.h>

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "libom/abi/body.h"
#include "libom/abi/memory.h"
#include "libom/abi/plan.h"
#include "libom/abi/sockets.h"

namespace om::guest {
namespace {

constexpr uint64_t kMaxImage = 64u << 20;
// Threads that the process may start between the offer and its stop; a slot costs address space only.
constexpr uint32_t kMoreThreads = 128;

bool is_page(uint64_t address) { return address % kPageSize == 0; }

}  // namespace

bool Bounds::hit(uint64_t lo, uint64_t hi) const {
  return (lo < image_hi && hi > image_lo) || (lo < arena + arena_bytes(slots) && hi > arena);
}

Step check_spec(schema::BodySpec::Reader spec, Bounds& bounds) {
  Bounds b;
  b.image_lo = spec.getImageLo();
  b.image_hi = spec.getImageHi();
  b.gate_lo = spec.getGateLo();
  b.gate_hi = spec.getGateHi();
  b.arena = spec.getArena();
  b.slots = spec.getSlots();
  b.body_state = spec.getBodyState();
  b.body_entry = spec.getBodyEntry();
  const bool image_ok = is_page(b.image_lo) && is_page(b.image_hi) && b.image_lo >= kPageSize &&
                        b.image_lo < b.image_hi && b.image_hi < kProgramTop &&
                        b.image_hi - b.image_lo <= kMaxImage &&
                        spec.getImage().size() == b.image_hi - b.image_lo;
  const bool gate_ok = b.gate_lo >= b.image_lo && b.gate_hi <= b.image_hi &&
                       b.gate_lo < b.gate_hi && b.gate_lo >> 32 == (b.gate_hi - 1) >> 32;
  const bool slots_ok = b.slots > 0 && b.slots <= kMaxSlots;
  const bool arena_ok = slots_ok && b.arena % kSlotSize == 0 && b.arena >= kSlotSize &&
                        b.arena < kProgramTop && b.arena + arena_bytes(b.slots) < kProgramTop &&
                        (b.arena >= b.image_hi || b.arena + arena_bytes(b.slots) <= b.image_lo);
  const bool state_ok = image_ok && b.body_state >= b.image_lo && b.body_state < b.image_hi &&
                        b.image_hi - b.body_state >= sizeof(BodyState) &&
                        b.body_entry >= b.image_lo && b.body_entry < b.image_hi;
  if (!image_ok || !gate_ok || !arena_ok || !state_ok)
    return refuse(ReasonCode::kInternal, "libom cannot lie where home says");
  for (auto s : spec.getSegments()) {
    if (s.getLo() < b.image_lo || s.getHi() > b.image_hi || s.getLo() >= s.getHi())
      return refuse(ReasonCode::kInternal, "libom cannot lie where home says");
  }
  if (spec.getSegments().size() > kMaxSegments)
    return refuse(ReasonCode::kInternal, "libom cannot lie where home says");
  for (auto l : spec.getLimits()) {
    if (l.getResource() >= RLIM_NLIMITS)
      return refuse(ReasonCode::kInternal, "unknown resource limit");
  }
  b.launched_slots = std::min(b.slots, std::min(spec.getThreads(), kMaxSlots) + kMoreThreads);
  bounds = b;
  return {};
}

// Memory objects must lie one after the other, where the program maps nothing while it is away.
static Step check_objects(const std::vector<Description::Object>& objects, const Bounds& bounds) {
  uint64_t before = has_executor_area(bounds.arena, bounds.slots)
                        ? executor_area_start(bounds.arena, bounds.slots)
                        : kProgramTop;
  const uint64_t end = executor_area_end(bounds.arena);
  for (const auto& o : objects) {
    if (o.view < before || o.view >= end || o.bytes > end - o.view)
      return refuse(ReasonCode::kInternal, "a memory object at {:#x} is in the way", o.view);
    before = o.view + page_up(o.bytes);
  }
  return {};
}

Step check_image(const Description& image, const Bounds& bounds) {
  OM_TRY(check_objects(image.objects, bounds));
  for (const auto& m : image.mappings) {
    if (bounds.hit(m.lo, m.hi))
      return refuse(ReasonCode::kInternal, "mapping {:#x}-{:#x} is where libom is", m.lo, m.hi);
  }
  const size_t threads = image.threads.size();
  if (threads == 0 || threads > bounds.launched_slots) {
    return refuse(ReasonCode::kInternal, "{} threads, prepared for {}; try again", threads,
                  bounds.launched_slots);
  }
  for (size_t i = 0; i < threads; i++) {
    if (image.threads[i].state.slot != i)
      return refuse(ReasonCode::kInternal, "threads are out of order");
  }
  return {};
}

Step check_ranges(capnp::List<schema::Range>::Reader ranges, const std::vector<proc::Mapping>& maps,
                  std::vector<WantedRange>& wanted) {
  wanted.clear();
  auto map = maps.begin();
  uint64_t before = 0;
  for (auto r : ranges) {
    const uint64_t lo = r.getLo(), hi = r.getHi();
    if (!is_page(lo) || !is_page(hi) || lo >= hi || hi > kProgramTop || lo < before)
      return refuse(ReasonCode::kInternal, "the range {:#x}-{:#x} cannot be wanted", lo, hi);
    before = hi;
    while (map != maps.end() && map->end <= lo) ++map;
    for (auto m = map; m != maps.end() && m->start < hi; ++m) {
      const uint64_t end = std::min(hi, m->end);
      for (uint64_t at = std::max(lo, m->start); at < end;) {
        const uint64_t stop = std::min(end, at + kScanBytes);
        wanted.push_back({at, stop, r.getFile()});
        at = stop;
      }
    }
  }
  return {};
}

}  // namespace om::guest

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
constexpr uint64_t kTop = uint64_t{1} << 47;
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
                        b.image_lo < b.image_hi && b.image_hi < kTop &&
                        b.image_hi - b.image_lo <= kMaxImage &&
                        spec.getImage().size() == b.image_hi - b.image_lo;
  const bool gate_ok = b.gate_lo >= b.image_lo && b.gate_hi <= b.image_hi &&
                       b.gate_lo < b.gate_hi && b.gate_lo >> 32 == (b.gate_hi - 1) >> 32;
  const bool slots_ok = b.slots > 0 && b.slots <= kMaxSlots;
  const bool arena_ok = slots_ok && b.arena % kSlotSize == 0 && b.arena >= kSlotSize &&
                        b.arena < kTop && b.arena + arena_bytes(b.slots) < kTop &&
                        (b.arena >= b.image_hi || b.arena + arena_bytes(b.slots) <= b.image_lo);
  const bool state_ok = image_ok && b.body_state >= b.image_lo && b.body_state < b.image_hi &&
                        b.image_hi - b.body_state >= sizeof(BodyState) &&
                        b.body_entry >= b.image_lo && b.body_entry < b.image_hi;
  if (!image_ok || !gate_ok || !arena_ok || !state_ok)
    return refuse(ReasonCode::kInternal, "home's description of libom makes no sense");
  for (auto s : spec.getSegments()) {
    if (s.getLo() < b.image_lo || s.getHi() > b.image_hi || s.getLo() >= s.getHi())
      return refuse(ReasonCode::kInternal, "home's description of libom makes no sense");
  }
  if (spec.getSegments().size() > kMaxSegments)
    return refuse(ReasonCode::kInternal, "home's description of libom makes no sense");
  for (auto l : spec.getLimits()) {
    if (l.getResource() >= RLIM_NLIMITS)
      return refuse(ReasonCode::kInternal, "unknown resource limit");
  }
  b.launched_slots = std::min(b.slots, std::min(spec.getThreads(), kMaxSlots) + kMoreThreads);
  bounds = b;
  return {};
}

Result<XstateLayout> read_layout(schema::Xstate::Reader in) {
  XstateLayout layout;
  layout.size = in.getSize();
  layout.mxcsr_mask = in.getMxcsrMask();
  layout.xcr0 = in.getXcr0();
  auto offsets = in.getOffsets();
  auto sizes = in.getSizes();
  if (offsets.size() != kXstateComponents || sizes.size() != kXstateComponents) {
    return plain_error("home's XSAVE layout is incomplete");
  }
  for (unsigned i = 0; i < kXstateComponents; i++) layout.comp[i] = {offsets[i], sizes[i]};
  if (auto valid = validate(layout); !valid) return valid.error();
  return layout;
}

// Memory objects: whole pages where the program maps nothing while it is away, one behind the other.
static Step check_objects(capnp::List<schema::MemoryObject>::Reader objects, const Bounds& bounds) {
  uint64_t before = has_executor_area(bounds.arena, bounds.slots)
                        ? executor_area_start(bounds.arena, bounds.slots)
                        : kTop;
  if (objects.size() > kMaxMemoryObjects)
    return refuse(ReasonCode::kInternal, "too many memory objects");
  for (auto o : objects) {
    const uint64_t view = o.getView(), bytes = o.getBytes();
    const uint64_t end = executor_area_end(bounds.arena);
    if (!is_page(view) || view < before || view >= end || bytes == 0 || bytes > end - view)
      return refuse(ReasonCode::kInternal, "a memory object at {:#x} makes no sense", view);
    before = view + page_up(bytes);
  }
  return {};
}

// Whether a mapping that shows a memory object names a page of one.
static bool is_view(schema::Mapping::Reader m, capnp::List<schema::MemoryObject>::Reader objects) {
  const uint64_t view = m.getView();
  for (auto o : objects) {
    if (view >= o.getView() && view - o.getView() < page_up(o.getBytes())) return is_page(view);
  }
  return false;
}

Step check_image(schema::Image::Reader image, const Bounds& bounds) {
  OM_STEP(check_objects(image.getObjects(), bounds));
  struct Place {
    uint64_t lo, hi;
  };
  if (image.getMappings().size() > kMaxPlanEntries || image.getGuards().size() > kMaxPlanEntries)
    return refuse(ReasonCode::kNoMemory, "too many mappings");
  std::vector<Place> sorted;
  for (auto m : image.getMappings()) {
    const uint64_t lo = m.getLo(), hi = m.getHi();
    if (!is_page(lo) || !is_page(hi) || lo >= hi || hi > kTop || lo < kPageSize ||
        bounds.hit(lo, hi) || m.getKind() > kKindView ||
        (m.getKind() == kKindView && !is_view(m, image.getObjects()))) {
      return refuse(ReasonCode::kInternal, "mapping {:#x}-{:#x} makes no sense", lo, hi);
    }
    sorted.push_back({lo, hi});
  }
  for (auto o : image.getObjects())
    sorted.push_back({o.getView(), o.getView() + page_up(o.getBytes())});
  std::sort(sorted.begin(), sorted.end(),
            [](const Place& a, const Place& b) { return a.lo < b.lo; });
  for (size_t i = 1; i < sorted.size(); i++) {
    if (sorted[i].lo < sorted[i - 1].hi) return refuse(ReasonCode::kInternal, "mappings overlap");
  }
  for (auto g : image.getGuards()) {
    const uint64_t lo = g.getLo(), hi = g.getHi();
    auto behind = std::upper_bound(sorted.begin(), sorted.end(), lo,
                                   [](uint64_t at, const Place& p) { return at < p.lo; });
    const bool within = behind != sorted.begin() && hi <= std::prev(behind)->hi;
    if (!is_page(lo) || !is_page(hi) || lo >= hi || !within)
      return refuse(ReasonCode::kInternal, "guard pages {:#x}-{:#x} make no sense", lo, hi);
  }
  const size_t threads = image.getThreads().size();
  if (threads == 0 || threads > bounds.launched_slots) {
    return refuse(ReasonCode::kInternal, "{} threads, prepared for {}; try again", threads,
                  bounds.launched_slots);
  }
  if (image.getUts().size() != sizeof(BodyState::uts) || image.getIds().size() != 8) {
    return refuse(ReasonCode::kInternal, "home's description is incomplete");
  }
  if (!is_time(image.getHomeMonoNs()) || !is_time(image.getHomeRealNs()))
    return refuse(ReasonCode::kInternal, "home has no clock");
  return {};
}

Step check_ranges(capnp::List<schema::Range>::Reader ranges, const std::vector<proc::Mapping>& maps,
                  std::vector<WantedRange>& wanted) {
  wanted.clear();
  auto map = maps.begin();
  uint64_t before = 0;
  for (auto r : ranges) {
    const uint64_t lo = r.getLo(), hi = r.getHi();
    if (!is_page(lo) || !is_page(hi) || lo >= hi || hi > kTop || lo < before)
      return refuse(ReasonCode::kInternal, "the range {:#x}-{:#x} makes no sense", lo, hi);
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

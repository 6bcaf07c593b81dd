// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/place.h"

#include <algorithm>

#include "libom/abi/layout.h"

namespace om::deputy {

bool is_free(const std::vector<proc::Mapping>& maps, uint64_t lo, uint64_t hi) {
  return std::none_of(maps.begin(), maps.end(),
                      [&](const proc::Mapping& m) { return m.start < hi && m.end > lo; });
}

Verdict<uint64_t> find_place(const std::vector<proc::Mapping>& maps, uint64_t image_lo,
                             uint32_t slots) {
  struct Wish {
    uint64_t distance;
    bool window;
  };
  constexpr uint64_t kGrowth = uint64_t{64} << 30, kStep = uint64_t{1} << 40;
  const uint64_t bytes = arena_bytes(slots);
  for (const Wish wish :
       {Wish{kGrowth, true}, Wish{0, true}, Wish{kGrowth, false}, Wish{0, false}}) {
    const uint64_t room = bytes + kSlotSize + 2 * wish.distance;
    uint64_t top = image_lo & ~(kSlotSize - 1);
    for (auto it = maps.rbegin(); it != maps.rend(); ++it) {
      if (it->start >= top) continue;
      for (uint64_t below = top; below >= it->end && below - it->end >= room;
           below -= std::min(below, kStep)) {
        const uint64_t place = (below - wish.distance - bytes) & ~(kSlotSize - 1);
        if (!wish.window ||
            (has_executor_area(place, slots) &&
             is_free(maps, executor_area_start(place, slots), executor_area_end(place))))
          return place;
      }
      top = it->start & ~(kSlotSize - 1);
    }
  }
  return refuse(ReasonCode::kInternal, "no room for libom's own memory in the address space");
}

}  // namespace om::deputy

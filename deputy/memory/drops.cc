// SPDX-License-Identifier: Apache-2.0
#include "deputy/memory/drops.h"

#include "libom/abi/memory.h"

namespace om::deputy {

Verdict<std::vector<Range>> plan_drops(std::span<const Range> memory, std::span<const Range> pins) {
  std::vector<Range> drops;
  for (auto [lo, hi] : memory) {
    for (const Range& pin : pins) {
      const uint64_t pin_lo = pin.lo & ~(kPageSize - 1),
                     pin_hi = (pin.hi + kPageSize - 1) & ~(kPageSize - 1);
      if (pin_hi <= lo || pin_lo >= hi) continue;
      if (pin_lo > lo) drops.push_back({lo, pin_lo});
      lo = pin_hi;
      if (lo >= hi) break;
    }
    if (lo < hi) drops.push_back({lo, hi});
  }
  if (drops.size() > kMaxDrops) {
    return refuse(ReasonCode::kHomeMemory, "libom can note {} ranges of memory, it has {}",
                  kMaxDrops, drops.size());
  }
  return drops;
}

}  // namespace om::deputy

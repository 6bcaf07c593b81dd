// SPDX-License-Identifier: Apache-2.0
#include "deputy/moves/body_threads.h"

#include <utility>

namespace om::deputy {

Verdict<ReturningThreads> read_threads(const Description& body, const XstateLayout& layout,
                                       uint32_t slots) {
  ReturningThreads out;
  for (const auto& t : body.threads) {
    if (t.state.slot >= slots)
      return refuse(ReasonCode::kInternal, "a thread of slot {}, of {}", t.state.slot, slots);
    std::vector<std::byte> area(layout.size);
    OM_MUST_VOID(convert(body.xstate, t.xsave, layout, area));
    out.states.push_back(t.state);
    out.xsaves.push_back(std::move(area));
  }
  return out;
}

}  // namespace om::deputy

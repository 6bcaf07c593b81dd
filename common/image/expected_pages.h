// SPDX-License-Identifier: Apache-2.0
//
// Checks page frames before any of their contents is read. They come from a foreign node. A frame is accepted only
// where its receiver expects one, so that nothing else is overwritten, and on the way home only once and in time, so
// that their number is bounded whatever the keeper sends. Pure.
#pragma once

#include <stdint.h>

#include <chrono>
#include <vector>

#include "common/image/bulk.h"
#include "common/movable/verdict.h"

namespace om {

class ExpectedPages {
 public:
  struct Place {
    uint64_t lo, hi;     // page aligned
    bool zeros = false;  // zero pages are sent too: something else would show there
  };
  enum class Order {
    kAny,
    kOnce,  // ascending, no page twice, and in time: the process stands still until they are here
  };
  using Time = std::chrono::steady_clock::time_point;

  ExpectedPages() = default;
  // Places must not overlap. A frame may span adjacent ones.
  ExpectedPages(std::vector<Place> places, Order order, Time now);

  // True: the frame has contents or zeros for a place. False: it is the end mark. Else INTERNAL, or TARGET_UNREACHABLE
  // if the transfer takes too long.
  Verdict<bool> take(const BulkHeader& frame, Time now);
  // After the end mark: whether every frame that the sender counted has arrived.
  bool complete() const { return complete_; }

 private:
  bool holds(const BulkHeader& frame) const;

  std::vector<Place> places_;  // ascending
  Order order_ = Order::kAny;
  Time begun_{};
  uint64_t next_ = 0, frames_ = 0, bytes_ = 0;
  bool complete_ = false;
};

}  // namespace om

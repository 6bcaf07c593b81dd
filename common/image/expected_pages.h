// SPDX-License-Identifier: Apache-2.0
//
// Judges frames of pages before a byte of their contents is read. They are a foreign node's: a frame is taken only
// where its receiver expects one, so that nothing is written elsewhere, and on the way home once and in time, so that
// their number is bounded whatever the keeper sends. Pure.
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
    bool zeros = false;  // zero pages are told, because something else would show there
  };
  enum class Order {
    kAny,
    kOnce,  // ascending, no page twice, and not for ever: whoever waits for them stands still
  };
  using Time = std::chrono::steady_clock::time_point;

  ExpectedPages() = default;
  // Places do not overlap. A frame may fill neighbours.
  ExpectedPages(std::vector<Place> places, Order order, Time now);

  // True: contents or zeros for a place. False: it was the last one. Else INTERNAL, or TARGET_UNREACHABLE because it
  // takes too long.
  Verdict<bool> take(const BulkHeader& frame, Time now);
  // Behind the last frame: whether all have come that the sender has counted.
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

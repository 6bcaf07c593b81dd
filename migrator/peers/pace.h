// SPDX-License-Identifier: Apache-2.0
//
// How often something may happen: once in a while, and so many times at once. Time is an argument.
#pragma once

#include <algorithm>

#include "common/base/clock.h"

namespace om::migrator {

class Pace {
 public:
  // `saved`: how many may come at once after a pause.
  Pace(Milliseconds every, int saved) : every_(every), saved_(every * saved) {}

  // The next one happens: how long it must wait.
  Milliseconds next(MonotonicTime now) {
    free_ = std::max(free_, now - saved_) + every_;
    return std::max(Milliseconds(0), std::chrono::ceil<Milliseconds>(free_ - now));
  }
  // Whether the next one may happen at once. If not, nothing has happened.
  bool take(MonotonicTime now) {
    if (free_ > now) return false;
    next(now);
    return true;
  }
  // Whether it is as new.
  bool rested(MonotonicTime now) const { return free_ + saved_ <= now; }

 private:
  Milliseconds every_, saved_;
  MonotonicTime free_{};
};

}  // namespace om::migrator

// SPDX-License-Identifier: Apache-2.0
//
// Keeps a body's clocks behind home's. Each message from home carries home's time at sending; on receipt
// home's clock shows at least that, so (home time sent - local time received) is a lower bound of the true
// offset. The largest of the recent bounds is the best estimate that cannot be ahead. The offset in use is
// moved towards it slowly (slewed), so that the body's clocks never jump and never run backwards; only a step
// of home's realtime clock of more than a second is followed at once, as the program would see it at home.
//
// Pure: time comes in as arguments (now_ns() asks the kernel). The keeper writes the resulting ClockPage into the body.
#pragma once

#include <stdint.h>
#include <time.h>

#include <deque>

#include "libom/abi/body.h"

namespace om::guest {

inline int64_t now_ns(clockid_t clock) {
  timespec ts{};
  ::clock_gettime(clock, &ts);
  return ts.tv_sec * int64_t{1000000000} + ts.tv_nsec;
}

class Clocks {
 public:
  // First sample, before the body runs: its offset is used as it is.
  void start(int64_t home_mono, int64_t home_real, int64_t local_mono, int64_t local_real);
  // Takes the best estimate at once: the body has not run yet, so nobody has seen its clocks.
  void jump(int64_t local_mono);
  // A later sample. Nanoseconds.
  void sample(int64_t home_mono, int64_t home_real, int64_t local_mono, int64_t local_real);

  // What the body uses from `local_mono` on. `sequence` stays 0.
  ClockPage page(int64_t local_mono) const;
  // The time that the body shows at `local`.
  int64_t body_mono(int64_t local_mono) const;
  int64_t body_real(int64_t local_mono, int64_t local_real) const;

 private:
  int64_t offset_at(int64_t base_offset, int64_t local_mono) const;
  void settle(int64_t local_mono);

  struct Bound {
    int64_t local_mono, mono, real;
  };
  std::deque<Bound> bounds_;
  int64_t mono_ = 0, real_ = 0;   // offsets at base_
  int64_t base_ = 0, limit_ = 0;  // local monotonic
  int64_t slew_ppb_ = 0;
};

}  // namespace om::guest

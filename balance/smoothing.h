// SPDX-License-Identifier: Apache-2.0
//
// From samples of the number of runnable threads to the figures that decisions use. Times are seconds of a clock that
// does not go back (a step back counts as none).
#pragma once

#include <stddef.h>

#include <array>

namespace om::balance {

// The mean of the last second, in tenths. A value holds until the next one.
class LoadMean {
 public:
  // There are `value` runnable threads from now on.
  void sample(double now_s, double value);
  // So many threads have come or, if negative, gone, as this node knows from moves and starts: counts at once, as if it
  // had been so for the whole second. Otherwise a node would send away or take as much again before it notices.
  void shift(double now_s, double threads);
  // At least 0.
  double mean(double now_s) const;

 private:
  static constexpr size_t kSteps = 10;
  static constexpr double kStep = 0.1;

  void advance(double now_s);

  std::array<double, kSteps> sums_{};  // thread seconds of finished tenths
  size_t next_ = 0;                    // of sums_, to be overwritten
  size_t filled_ = 0;
  double begun_s_ = 0;  // the running tenth
  double at_s_ = 0;     // until where `running_` is counted
  double running_ = 0;
  double value_ = 0;
  bool any_ = false;
};

// The two smoothed values of MOSIX, one step a second: what it decides by climbs slowly and falls at once, so it sends
// away only what lasts; what it tells jumps at once and falls slowly, so others stop sending as soon as it is busy.
class MosixLoad {
 public:
  // The mean of the last second. In any unit.
  void step(double load);
  double own() const { return own_; }
  double told() const { return told_; }

 private:
  double own_ = 0;
  double told_ = 0;
};

}  // namespace om::balance

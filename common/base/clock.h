// SPDX-License-Identifier: Apache-2.0
//
// Time as an argument: code that depends on time takes a Clock&, so that a test can step it. Durations are std::chrono;
// a bare number carries its unit in its name.
#pragma once

#include <chrono>

namespace om {

using Milliseconds = std::chrono::milliseconds;
using MonotonicTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;

// 0 once the deadline has passed.
inline Milliseconds left_until(MonotonicTime deadline) {
  const auto left =
      std::chrono::duration_cast<Milliseconds>(deadline - std::chrono::steady_clock::now());
  return left.count() > 0 ? left : Milliseconds(0);
}

class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonotonicTime now() const = 0;
  virtual WallTime wall() const = 0;
};

class SystemClock final : public Clock {
 public:
  MonotonicTime now() const override { return std::chrono::steady_clock::now(); }
  WallTime wall() const override { return std::chrono::system_clock::now(); }
};

// For tests: stands still until advance().
class FakeClock final : public Clock {
 public:
  MonotonicTime now() const override { return now_; }
  WallTime wall() const override { return wall_; }
  void advance(Milliseconds step) {
    now_ += step;
    wall_ += step;
  }

 private:
  MonotonicTime now_{std::chrono::hours(1)};
  WallTime wall_{std::chrono::hours(10000)};
};

}  // namespace om

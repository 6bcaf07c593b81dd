// SPDX-License-Identifier: Apache-2.0
//
// guest/clocks.h: a body's clocks stay behind home's, never jump and never run backwards.
#include "guest/clocks.h"

#include <doctest/doctest.h>

namespace om::guest {
namespace {

constexpr int64_t kSecond = 1000000000, kMs = 1000000;

TEST_CASE("the first sample is taken as it is") {
  Clocks c;
  c.start(500 * kSecond, 900 * kSecond, 100 * kSecond, 200 * kSecond);
  CHECK(c.body_mono(100 * kSecond) == 500 * kSecond);
  CHECK(c.body_mono(101 * kSecond) == 501 * kSecond);
  CHECK(c.body_real(100 * kSecond, 200 * kSecond) == 900 * kSecond);
}

TEST_CASE("a better estimate is approached slowly, without a step") {
  Clocks c;
  c.start(1000 * kSecond, 0, 0, 0);
  c.sample(1001 * kSecond + 10 * kMs, kSecond, kSecond,
           kSecond);  // 10 ms ahead of the estimate
  CHECK(c.body_mono(kSecond) == 1001 * kSecond);
  CHECK(c.body_mono(2 * kSecond) == 1002 * kSecond + kMs / 2);  // 0.5 ms a second
  CHECK(c.body_mono(9 * kSecond) == 1009 * kSecond + kMs / 2);  // no further without another sample
  CHECK(c.page(kSecond).slew_ppb == 500000);
  CHECK(c.page(3 * kSecond).slew_ppb == 0);
}

TEST_CASE("a sample that was long on its way says nothing") {
  Clocks c;
  c.start(1000 * kSecond, 0, 0, 0);
  c.sample(1000 * kSecond + 500 * kMs, 500 * kMs, kSecond, kSecond);
  CHECK(c.body_mono(2 * kSecond) == 1002 * kSecond);
}

TEST_CASE("before the body runs the best estimate is taken at once") {
  Clocks c;
  c.start(1000 * kSecond, 0, 0, 0);
  c.sample(1001 * kSecond + 10 * kMs, kSecond, kSecond, kSecond);
  c.jump(kSecond);
  CHECK(c.body_mono(kSecond) == 1001 * kSecond + 10 * kMs);
}

TEST_CASE("a realtime clock that was set is followed at once") {
  Clocks c;
  c.start(0, 1000 * kSecond, 0, 1000 * kSecond);
  c.sample(kSecond, 5000 * kSecond, kSecond, 1001 * kSecond);
  CHECK(c.body_real(kSecond, 1001 * kSecond) == 5000 * kSecond);
}

}  // namespace
}  // namespace om::guest

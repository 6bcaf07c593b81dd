// SPDX-License-Identifier: Apache-2.0
//
// balance/model.h and balance/smoothing.h against tables that were worked out by hand.
#include "balance/model.h"

#include <doctest/doctest.h>

#include "balance/smoothing.h"

namespace om::balance {
namespace {

constexpr Machine kOne{1, 1, 1};
constexpr Machine kDesk{4, 8, 1};  // four cores, two threads each
constexpr Machine kSlow{2, 2, 0.5};

TEST_CASE("capacity counts cores, then second threads") {
  struct Row {
    Machine machine;
    double k, capacity, rate, phi;
  };
  const Row rows[] = {
      {kOne, 0, 0, 1, 0},
      {kOne, 0.5, 0.5, 1, 0.5},
      {kOne, 1, 1, 1, 1},
      {kOne, 2, 1, 0.5, 4},
      {kOne, 4, 1, 0.25, 16},
      {kDesk, 3, 3, 1, 3},
      {kDesk, 4, 4, 1, 4},
      {kDesk, 6, 4.6, 4.6 / 6, 36 / 4.6},
      {kDesk, 8, 5.2, 0.65, 8 / 0.65},
      {kDesk, 16, 5.2, 0.325, 16 / 0.325},
      {kSlow, 1, 1, 0.5, 2},
      {kSlow, 2, 2, 0.5, 4},
      {kSlow, 4, 2, 0.25, 16},
  };
  for (const Row& row : rows) {
    CAPTURE(row.machine.cores);
    CAPTURE(row.k);
    CHECK(capacity(row.machine, row.k) == doctest::Approx(row.capacity));
    CHECK(rate(row.machine, row.k) == doctest::Approx(row.rate));
    CHECK(phi(row.machine, row.k) == doctest::Approx(row.phi));
  }
  CHECK(phi(kOne, -1) == 0);
}

TEST_CASE("what one more or less costs everybody") {
  CHECK(leave_time(kOne, 2, 1) == doctest::Approx(3));  // 4 - 1
  CHECK(leave_time(kOne, 1, 1) == doctest::Approx(1));
  CHECK(join_time(kOne, 0, 1) == doctest::Approx(1));
  CHECK(join_time(kOne, 1, 1) == doctest::Approx(3));
  CHECK(join_time(kDesk, 3, 1) == doctest::Approx(1));
  CHECK(join_time(kDesk, 4, 1) == doctest::Approx(25 / 4.3 - 4));
  CHECK(join_time(kSlow, 0, 2) == doctest::Approx(4));
  CHECK(leave_time(kOne, 1, 2) == doctest::Approx(1));  // no more than there are
  CHECK(join_time(kDesk, -1, 1) == doctest::Approx(1));
  for (double k = 1; k < 20; k += 0.5)
    CHECK(leave_time(kDesk, k, 1) == doctest::Approx(join_time(kDesk, k - 1, 1)));
}

TEST_CASE("calls, remaining work, cost of a move") {
  CHECK(call_factor(10000, 100e-6, false) == doctest::Approx(2));
  CHECK(call_factor(10000, 100e-6, true) == 1);
  CHECK(call_factor(-5, 100e-6, false) == 1);
  CHECK(weight(kConstants, 0) == 0.3);
  CHECK(weight(kConstants, 12) == 12);
  const Link link{};
  CHECK(move_seconds(link, 110e6, 1) == doctest::Approx(1.03));
  CHECK(move_seconds(link, 110e6, 2) == doctest::Approx(2.06));
  CHECK(move_cost(kConstants, 1, 0) == doctest::Approx(1.3));
  CHECK(move_cost(kConstants, 1, 1) == doctest::Approx(1.95));
  CHECK(move_cost(kConstants, 1, 4) == doctest::Approx(1.3 * 5.0625));
  CHECK(move_cost(kConstants, 1, 1e9) < 1e20);
}

TEST_CASE("the smoothed values of MOSIX, step by step") {
  MosixLoad up;
  for (const double own : {0.375, 0.609375, 0.755859375, 0.847412109, 0.904632568}) {
    up.step(1);
    CHECK(up.own() == doctest::Approx(own));
    CHECK(up.told() == 1);
  }
  for (const double told : {0.875, 0.765625, 0.669921875, 0.586181641, 0.512908936}) {
    up.step(0);
    CHECK(up.own() == 0);
    CHECK(up.told() == doctest::Approx(told));
  }
}

TEST_CASE("the mean of the last second") {
  LoadMean mean;
  CHECK(mean.mean(5) == 0);
  mean.sample(10, 4);
  CHECK(mean.mean(10) == 4);
  CHECK(mean.mean(10.05) == doctest::Approx(4));
  CHECK(mean.mean(11.5) == doctest::Approx(4));
  mean.sample(12, 0);
  CHECK(mean.mean(12.25) == doctest::Approx(3));
  CHECK(mean.mean(12.5) == doctest::Approx(2));
  CHECK(mean.mean(13.01) == doctest::Approx(0));
  CHECK(mean.mean(1000) == 0);
}

TEST_CASE("moves count at once") {
  LoadMean mean;
  for (int i = 0; i < 30; ++i) mean.sample(i * 0.1, 3);
  mean.shift(2.95, -2);
  CHECK(mean.mean(2.95) == doctest::Approx(1));
  // The sampler sees the same: it is not counted twice.
  mean.sample(3, 1);
  CHECK(mean.mean(3.5) == doctest::Approx(1));
  mean.shift(3.5, -5);
  CHECK(mean.mean(3.5) == 0);
  mean.shift(3.5, 2);
  CHECK(mean.mean(3.5) == doctest::Approx(2));
}

}  // namespace
}  // namespace om::balance

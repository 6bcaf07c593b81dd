// SPDX-License-Identifier: Apache-2.0
//
// sim/processor.h and sim/ideal.h: ends that were worked out by hand.
#include "sim/processor.h"

#include <doctest/doctest.h>

#include "sim/gossip.h"
#include "sim/ideal.h"

namespace om::sim {
namespace {

TEST_CASE("jobs share CPUs") {
  Processor processor({1, 1, 2}, 1e9);
  CHECK_FALSE(processor.next_end());
  processor.add(0, 7, 10, 1, 1, 100);
  CHECK(processor.next_end()->first == doctest::Approx(5));
  // From second 2 on two share the CPU: the first has 6 left, the second 3.
  processor.add(2, 8, 3, 1, 1, 100);
  CHECK(processor.next_end()->first == doctest::Approx(5));
  CHECK(processor.next_end()->second == 8);
  CHECK(processor.done_here(4, 7) == doctest::Approx(6));
  CHECK(processor.remove(5, 8) == doctest::Approx(3));
  CHECK(processor.next_end()->first == doctest::Approx(6.5));
  CHECK(processor.threads() == 1);
  CHECK(processor.used_bytes() == 100);
}

TEST_CASE("calls and threads") {
  Processor processor({4, 4, 1}, 1e9);
  processor.add(0, 1, 10, 1, 2, 0);  // every call costs: twice as long
  processor.add(0, 2, 10, 2, 1, 0);
  CHECK(processor.next_end()->second == 2);
  CHECK(processor.next_end()->first == doctest::Approx(5));
  CHECK(processor.done_here(5, 1) == doctest::Approx(2.5));
}

TEST_CASE("a node whose memory is full is slow") {
  Processor processor({1, 1, 1}, 1000);
  processor.add(0, 1, 1, 1, 1, 1100);
  CHECK(processor.next_end()->first == doctest::Approx(2));
  processor.reserve(0, 900);
  CHECK(processor.next_end()->first == doctest::Approx(11));
  CHECK(processor.free_bytes() == 0);
}

TEST_CASE("the ideal machine gives the fastest CPUs first") {
  Scenario scenario;
  scenario.nodes.resize(2);
  scenario.nodes[0].machine = {1, 1, 2};
  scenario.nodes[1].machine = {1, 1, 1};
  scenario.jobs = {{.arrives_s = 0, .work_s = 4}};
  CHECK(ideal_of(scenario).mean_slowdown == doctest::Approx(1));
  CHECK(ideal_of(scenario).makespan_s == doctest::Approx(2));
  scenario.jobs.push_back({.arrives_s = 0, .work_s = 4});
  // 1.5 each until both end.
  CHECK(ideal_of(scenario).makespan_s == doctest::Approx(4 / 1.5));
  CHECK(ideal_of(scenario).mean_slowdown == doctest::Approx(4 / 3.0));
}

TEST_CASE("news are as old as the formula says, and no older among many") {
  CHECK(expected_age(64, 16) == doctest::Approx(6.35).epsilon(0.01));
  CHECK(expected_age(100, 16) == doctest::Approx(8.56).epsilon(0.01));
  CHECK(expected_age(256, 16) == doctest::Approx(18.27).epsilon(0.01));
  const GossipFigures few = measure_gossip({.nodes = 64, .kept = 64, .rounds = 90});
  CHECK(few.mean_age == doctest::Approx(6.35).epsilon(0.1));
  CHECK(few.known == 63);
  const GossipFigures many = measure_gossip({.nodes = 400, .kept = 128, .rounds = 60});
  CHECK(many.mean_age < 8);
  CHECK(many.known == 128);
  CHECK(many.bytes_per_s < few.bytes_per_s * 1.05);
}

}  // namespace
}  // namespace om::sim

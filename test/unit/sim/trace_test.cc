// SPDX-License-Identifier: Apache-2.0
//
// sim/trace.h.
#include "sim/trace.h"

#include <doctest/doctest.h>

namespace om::sim {
namespace {

TEST_CASE("a trace is read as it is written") {
  const auto scenario = parse_trace(
      "# two nodes\n"
      "job 2 b work 5 threads 2 memory 10 calls 100\n"
      "node a cores 2 speed 0.5 memory 1024 dies 30 # soon\n"
      "node b\tcores 4 threads 8 lies 1 leaves 9\n\n"
      "job 1 a work 3\n"
      "network delay 0.001 loss 0.5 rate 1000000\n"
      "counted 1.5\n");
  REQUIRE(scenario.ok());
  CHECK(scenario->nodes.size() == 2);
  CHECK(scenario->nodes[0].machine == balance::Machine{2, 2, 0.5});
  CHECK(scenario->nodes[0].dies_s == 30);
  CHECK(scenario->nodes[1].lies);
  CHECK(scenario->jobs[0].home == 0);
  CHECK(scenario->jobs[1].threads == 2);
  CHECK(scenario->jobs[1].bytes == 10 * kMebibyte);
  CHECK(scenario->network.loss == 0.5);
  CHECK(scenario->counted_from_s == 1.5);
  const std::string text = trace_text(*scenario);
  const auto again = parse_trace(text);
  REQUIRE(again.ok());
  CHECK(trace_text(*again) == text);
}

TEST_CASE("malformed lines are named") {
  for (const char* line :
       {"nodes a", "node", "node a cores", "node a cores x", "node a cores 0", "node a speed nan",
        "job 1 a", "job 1 a work 0", "job x a work 1", "job -1 a work 1", "job 1 c work 1",
        "job 1 a work 1 prio 2", "network loss 2", "counted", "node a"}) {
    CAPTURE(line);
    const auto scenario = parse_trace(std::string("node a\n") + line + "\n");
    CHECK_FALSE(scenario.ok());
  }
  CHECK_FALSE(parse_trace("").ok());
  CHECK(parse_trace("node a\nnode b x 1\n").error().text() == "line 2: unknown word x");
}

}  // namespace
}  // namespace om::sim

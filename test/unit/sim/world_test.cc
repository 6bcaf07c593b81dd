// SPDX-License-Identifier: Apache-2.0
//
// sim/world.h: small clusters on paper, with the shipped decisions.
#include "sim/world.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "sim/ideal.h"
#include "sim/report.h"

namespace om::sim {
namespace {

struct Outcome {
  size_t ended = 0, lost = 0, moves = 0;
  double makespan_s = 0;
};

Outcome run(const Scenario& scenario, Settings settings = {}) {
  World world(scenario, settings);
  world.run();
  Outcome outcome;
  for (const Job& job : world.jobs()) {
    outcome.ended += job.state == JobState::kEnded;
    outcome.lost += job.state == JobState::kLost;
    outcome.moves += job.moves;
    outcome.makespan_s = std::max(outcome.makespan_s, job.ended_s);
  }
  return outcome;
}

TEST_CASE("equal jobs spread, without and with placement") {
  const Scenario scenario = burst(Kind::kEqual, 4, 8, 60);
  Settings settings;
  settings.placement = false;
  const Outcome moved = run(scenario, settings);
  CHECK(moved.ended == 8);
  CHECK(moved.makespan_s >= 120);
  CHECK(moved.makespan_s < 120 * 1.1);
  CHECK(moved.moves >= 6);
  const Outcome placed = run(scenario);
  CHECK(placed.makespan_s < 120 * 1.02);
  settings.policy = balance::Policy::kOff;
  CHECK(run(scenario, settings).makespan_s == doctest::Approx(480));
}

TEST_CASE("the same seed gives the same run, another one another") {
  const Load load{.seconds = 60};
  const Scenario scenario = poisson(Kind::kLab, 10, load);
  const auto figures = [&](uint64_t seed) {
    Settings settings;
    settings.seed = seed;
    World world(scenario, settings);
    world.run();
    return report(scenario, settings, world, 0);
  };
  CHECK(figures(3) == figures(3));
  CHECK(figures(3) != figures(4));
}

TEST_CASE("every policy brings every job to its end") {
  const Scenario scenario =
      poisson(Kind::kLab, 12, {.utilisation = 0.6, .seconds = 60, .most_s = 60});
  for (size_t i = 0; i < balance::kPolicies; ++i) {
    Settings settings;
    settings.policy = static_cast<balance::Policy>(i);
    CAPTURE(balance::name(settings.policy));
    const Outcome outcome = run(scenario, settings);
    CHECK(outcome.ended == scenario.jobs.size());
  }
}

TEST_CASE("when a node dies its guests go on at home, its own jobs are lost") {
  Scenario scenario = burst(Kind::kEqual, 4, 4, 30);
  scenario.nodes[2].dies_s = 10;
  const Outcome guest = run(scenario);
  CHECK(guest.ended == 4);
  CHECK(guest.makespan_s > 40);
  scenario.nodes[2].dies_s = kNever;
  scenario.nodes[0].dies_s = 10;
  const Outcome home = run(scenario);
  CHECK(home.lost == 4);
}

TEST_CASE("a drained node has no guests; one that joins gets some") {
  Scenario scenario = burst(Kind::kEqual, 3, 6, 30);
  scenario.nodes[1].leaves_s = 5;
  scenario.nodes[2].joins_s = 10;
  std::string last;
  Settings settings;
  settings.explain = [&](double now, const std::string& line) {
    if (now > 6.5 && line.find(": n2 (") != std::string::npos) last = line;
  };
  const Outcome outcome = run(scenario, settings);
  CHECK(outcome.ended == 6);
  CHECK(last == "");
  CHECK(outcome.makespan_s < 6 * 30 * 0.75);
}

TEST_CASE("a liar gets sixteen processes and then none") {
  Scenario scenario = burst(Kind::kEqual, 20, 120, 20);
  scenario.nodes[9].lies = true;
  std::vector<double> taken;
  Settings settings;
  settings.explain = [&](double now, const std::string& line) {
    if (line.find("moves to: n10") != std::string::npos ||
        line.find("starts on: n10") != std::string::npos)
      taken.push_back(now);
  };
  CHECK(run(scenario, settings).ended == 120);
  CHECK(taken.size() >= 1);
  CHECK(taken.size() <= 16);
}

}  // namespace
}  // namespace om::sim

// SPDX-License-Identifier: Apache-2.0
//
// Decisions on recorded views: a change of a decision is a change here. The numbers are worked out by hand.
#include "balance/policy.h"

#include <doctest/doctest.h>

#include "balance/admission.h"
#include "test/unit/balance/views.h"

namespace om::balance {
namespace {

std::string flow(const View& view) { return moves_text(view, decided(Policy::kFlow, view)); }

TEST_CASE("flow: one of two goes to an empty node, the last one stays") {
  CHECK(flow(crowd(1, {node_of(2, 0)})) == "");
  const View view = crowd(2, {node_of(2, 0)});
  const Decision decision = decided(Policy::kFlow, view);
  REQUIRE(decision.moves.size() == 1);
  const Terms& terms = decision.moves[0].terms;
  CHECK(terms.leave == doctest::Approx(3));
  CHECK(terms.join == doctest::Approx(1));
  CHECK(terms.weight == 10);
  CHECK(terms.gain == doctest::Approx(20));
  CHECK(terms.cost == doctest::Approx(1.3 * (0.03 + 10 * kMebibyte / 110e6)));
  CHECK(decision.moves[0].cause == Cause::kLoad);
  CHECK(flow(crowd(2, {node_of(2, 1)})) == "");
  CHECK(flow(crowd(3, {node_of(2, 1)})).size() == 5);
}

TEST_CASE("flow: many leave at once, each to another node") {
  std::vector<NodeLoad> empty;
  for (uint64_t id = 2; id < 40; ++id) empty.push_back(node_of(id, 0));
  View view = crowd(30, empty);
  const Decision decision = decided(Policy::kFlow, view);
  CHECK(decision.moves.size() == 16);
  for (size_t i = 0; i < decision.moves.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      CHECK(decision.moves[i].to != decision.moves[j].to);
      CHECK(decision.moves[i].process != decision.moves[j].process);
    }
  }
  view.departures = 14;
  CHECK(decided(Policy::kFlow, view).moves.size() == 2);
  view.departures = 20;
  CHECK(decided(Policy::kFlow, view).moves.empty());
}

TEST_CASE("flow: an idle node sends to a faster one, and says why") {
  View view = crowd(1, {node_of(2, 0, {4, 4, 2})});
  Decision decision = decided(Policy::kFlow, view);
  REQUIRE(decision.moves.size() == 1);
  CHECK(decision.moves[0].cause == Cause::kSpeed);
  view.others[0].machine.speed = 1.1;  // within the margin
  CHECK(flow(view) == "");
  CHECK(said(view, decided(Policy::kFlow, view, 1, true), 100, 2) == Against::kMargin);
}

TEST_CASE("flow: the oldest goes, unless it is too large for what it gains") {
  View view = crowd(3, {node_of(2, 0)});
  view.processes[1].cpu_age_s = 100;
  CHECK(flow(view) == "101>2");
  view.processes[1].resident_bytes = 7000 * kMebibyte;  // 87 s frozen
  view.processes[0].cpu_age_s = 60;
  CHECK(flow(view) == "100>2");
}

TEST_CASE("flow: calls keep a process at home, and bring it home") {
  View view = crowd(2, {node_of(2, 0)});
  view.processes[0].calls_per_cpu_s = 40000;
  CHECK(flow(view) == "101>2");
  view.processes[1].locked = true;
  CHECK(flow(view) == "");
  const Decision why = decided(Policy::kFlow, view, 1, true);
  CHECK(said(view, why, 100, 2) == Against::kIoBound);
  CHECK(said(view, why, 101, 2) == Against::kLocked);

  View home = crowd(1, {});
  const NodeLoad there = node_of(2, 1, {4, 4, 1});
  home.processes[0].at = &there;
  home.processes[0].calls_per_cpu_s = 40000;
  home.self.k = 0;
  const Decision decision = decided(Policy::kFlow, home);
  REQUIRE(decision.moves.size() == 1);
  CHECK(decision.moves[0].to == NodeId{1});
  CHECK(decision.moves[0].cause == Cause::kIo);
  home.processes[0].calls_per_cpu_s = 10;
  CHECK(flow(home) == "");
}

TEST_CASE("flow: a guest goes home, or on to another node at twice the cost") {
  View view = crowd(0, {node_of(2, 0), node_of(3, 0)});
  view.self.k = 3;
  view.processes = {process_of(100, 10, 1000, 3)};
  CHECK(flow(view) == "100>3");
  view.others[1].k = 5;
  const Decision decision = decided(Policy::kFlow, view);
  REQUIRE(decision.moves.size() == 1);
  CHECK(decision.moves[0].to == NodeId{2});
  CHECK(decision.moves[0].terms.cost ==
        doctest::Approx(1.3 * 2 * (0.03 + 1000 * kMebibyte / 110e6)));
  // Its home takes it even if it takes no guests.
  view.others[1].k = 0;
  view.others[1].flags = kFlagBlock;
  view.others[0].flags = kFlagBlock;
  CHECK(flow(view) == "100>3");
}

TEST_CASE("flow: each move makes the next one dearer") {
  View view = crowd(2, {node_of(2, 0)});
  for (ProcessLoad& process : view.processes) process.cpu_age_s = 0.4;
  view.processes[1].locked = true;
  CHECK(flow(view) == "100>2");  // gain 0.8, cost 0.163
  view.processes[0].recent_moves = 3;
  CHECK(flow(view) == "100>2");  // 0.55
  view.processes[0].recent_moves = 4;
  CHECK(flow(view) == "");  // 0.82
  CHECK(said(view, decided(Policy::kFlow, view, 1, true), 100, 2) == Against::kNoGain);
}

TEST_CASE("memory first: the smallest that suffices goes where it fits best") {
  View view = crowd(4, {node_of(2, 0, {8, 8, 1}, 8000), node_of(3, 50, {1, 1, 1}, 1500)});
  const double sizes[] = {100, 600, 900, 6500};
  for (size_t i = 0; i < 4; ++i) view.processes[i].resident_bytes = sizes[i] * kMebibyte;
  view.missing_bytes = 500 * kMebibyte;
  for (const Policy policy :
       {Policy::kFlow, Policy::kMosix, Policy::kOpportunity, Policy::kTwoChoices}) {
    const Decision decision = decided(policy, view);
    REQUIRE(decision.moves.size() == 1);
    CHECK(moves_text(view, decision) == "101>3");
    CHECK(decision.moves[0].cause == Cause::kMemory);
  }
  view.missing_bytes = 8000 * kMebibyte;  // none suffices: the largest that can go
  CHECK(flow(view) == "103>2");
  view.others[0].free_bytes = view.others[1].free_bytes = 200 * kMebibyte;
  CHECK(make_room(view, 1, false).moves.empty());
}

TEST_CASE("guests leave for the best node with room, or home") {
  View view = crowd(3, {node_of(2, 3), node_of(3, 1), node_of(4, 0)});
  view.processes = {process_of(100, 10), process_of(101, 0, 10, 2), process_of(102, 10, 10, 2),
                    process_of(103, 10, 20000, 2)};
  view.processes[2].locked = true;
  const Decision decision = send_guests_away(view, Cause::kOwner, random_of(1));
  CHECK(moves_text(view, decision) == "101>4 102>2 103>2");
  CHECK(decision.moves[0].cause == Cause::kOwner);
}

TEST_CASE("mosix: the second busiest to the least loaded, every two seconds") {
  View view = crowd(3, {node_of(2, 0.5), node_of(3, 0), node_of(4, 2)});
  const double shares[] = {0.2, 0.5, 0.3};
  for (size_t i = 0; i < 3; ++i) view.processes[i].cpu_share = shares[i];
  const auto mosix = [&] { return moves_text(view, decided(Policy::kMosix, view)); };
  CHECK(mosix() == "102>3");
  view.self.told = 1.2;  // less than 0 + 1.3
  CHECK(mosix() == "");
  view.self.told = 1.4;
  CHECK(mosix() == "102>3");
  view.since_departure_s = 1.9;
  CHECK(mosix() == "");
}

TEST_CASE("opportunity: moves at half the marginal cost, places at the least") {
  View view = crowd(4, {node_of(2, 0), node_of(3, 3)});
  CHECK(moves_text(view, decided(Policy::kOpportunity, view)) == "100>2");
  view.others[0].k = 3;
  CHECK(decided(Policy::kOpportunity, view).moves.empty());
  PolicyState state;
  const NewJob job{.resident_bytes = 100 * kMebibyte};
  auto best = place(Policy::kOpportunity, view, job, state, random_of(1));
  REQUIRE(best);
  CHECK(state.most_load == 4);
  // A node whose memory is nearly full costs more than a busy one.
  view.others[0].free_bytes = view.others[1].free_bytes = 1000 * kMebibyte;
  view.others[0].k = view.others[1].k = 4;
  CHECK_FALSE(place(Policy::kOpportunity, view, job, state, random_of(1)));
}

TEST_CASE("two choices: the better of two, if it is better by a tenth") {
  View view = crowd(3, {node_of(2, 0), node_of(3, 1)});
  view.processes[1].cpu_age_s = 20;
  CHECK(moves_text(view, decided(Policy::kTwoChoices, view)) == "101>2");
  view.others[0].k = 1.9;
  view.others[1].k = 1.9;
  CHECK(decided(Policy::kTwoChoices, view).moves.empty());
}

TEST_CASE("round robin: in turn, this node included") {
  const View view = crowd(0, {node_of(5, 9), node_of(2, 0), node_of(9, 0)});
  PolicyState state;
  std::string order;
  for (int i = 0; i < 8; ++i) {
    const auto to = place(Policy::kRoundRobin, view, {}, state, random_of(1));
    order += to ? std::to_string(static_cast<uint64_t>(to->to)) : "1";
  }
  CHECK(order == "12591259");
  CHECK(decided(Policy::kRoundRobin, crowd(9, {node_of(2, 0)})).moves.empty());
  CHECK(decided(Policy::kOff, crowd(9, {node_of(2, 0)})).moves.empty());
}

TEST_CASE("flow places where the job disturbs least") {
  View view = crowd(2, {node_of(2, 1), node_of(3, 0)});
  PolicyState state;
  const auto where = [&](NewJob job = {}) {
    const auto best = place(Policy::kFlow, view, job, state, random_of(1));
    return best ? static_cast<uint64_t>(best->to) : 1;
  };
  CHECK(where() == 3);
  view.self.k = 0;
  CHECK(where() == 1);
  CHECK(where({.resident_bytes = 7900 * kMebibyte}) == 1);  // too small everywhere
  view.self.free_bytes = 0;
  CHECK(where() == 3);
  const NodeList not_three{false, {NodeId{3}}};
  view.self.k = 3;
  CHECK(where({.allowed = &not_three}) == 2);
  CHECK(where({.feature_class = 1}) == 1);
  Decision why;
  const NewJob listed{.allowed = &not_three};
  CHECK(place(Policy::kFlow, view, listed, state, random_of(1), &why));
  CHECK(why.candidates.size() == 2);
}

TEST_CASE("the target judges by what it knows itself") {
  const View view = crowd(2, {node_of(2, 0)});
  const Move move = decided(Policy::kFlow, view).moves.at(0);
  const Ask ask = ask_for(view.processes[move.process], move, true);
  CHECK(admit(node_of(2, 0), ask) == Against::kNothing);
  CHECK(admit(node_of(2, 1), ask) == Against::kBusy);
  Ask other = ask;
  other.judged = false;
  CHECK(admit(node_of(2, 1), other) == Against::kNothing);
  CHECK(admit(node_of(2, 0, {1, 1, 1}, 400), ask) == Against::kMemory);
  NodeLoad target = node_of(2, 0);
  target.flags = kFlagOwner;
  CHECK(admit(target, ask) == Against::kOwner);
  other = ask;
  other.feature_class = 3;
  CHECK(admit(node_of(2, 0), other) == Against::kFeatures);
  other = ask;
  other.leave = 0.0 / 0.0;
  CHECK(admit(node_of(2, 0), other) == Against::kBusy);
  other = ask;
  other.resident_bytes = -1;
  CHECK(admit(node_of(2, 0), other) == Against::kBusy);
}

TEST_CASE("names and texts") {
  for (size_t i = 0; i < kPolicies; ++i) {
    const auto policy = static_cast<Policy>(i);
    CHECK(policy_from_name(name(policy)) == policy);
  }
  CHECK_FALSE(policy_from_name("Flow"));
  for (size_t i = 0; i < kAgainstCount; ++i) {
    CHECK_FALSE(name(static_cast<Against>(i)).empty());
    CHECK_FALSE(text(static_cast<Against>(i)).empty());
  }
  CHECK(text(Cause::kCall) == "call");
}

}  // namespace
}  // namespace om::balance

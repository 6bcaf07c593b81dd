// SPDX-License-Identifier: Apache-2.0
//
// The policies: what a node does about the load that it sees. Pure: the view, chance and what the policy remembers come
// in; moves to ask for come out, each of which the target may still refuse (admission.h). All keep to rules.h, and all
// put memory first.
#pragma once

#include <optional>
#include <string_view>

#include "balance/decision.h"
#include "balance/view.h"

namespace om::balance {

enum class Policy : uint8_t {
  kFlow,         // lowers the sum of the times that all processes still need
  kMosix,        // the rule of MOSIX: the second busiest process to the least loaded node
  kOpportunity,  // placement and moves by marginal cost of CPU and memory
  kTwoChoices,   // of two nodes at random the better one
  kRoundRobin,   // placement in turn, no moves
  kOff,
};
constexpr size_t kPolicies = 6;

std::string_view name(Policy policy);
std::optional<Policy> policy_from_name(std::string_view name);
// Seconds between decisions.
double period_s(Policy policy, const Constants& constants = kConstants);
// Whether a target judges a process by its own numbers (Ask::judged).
bool asks_target(Policy policy);

// What a policy remembers on its node.
struct PolicyState {
  double most_load = 1;  // opportunity: a power of two, not less than any load seen
  NodeId last_placed{};  // roundrobin
};

// The moves to ask for now: at most one per target, and with those under way at most Constants::departures. With
// `explain` also every candidate with its reason.
Decision decide(Policy policy, const View& view, PolicyState& state, const Random& random,
                bool explain = false);

// Where a job is best started: a move without a process, or nothing for home. Terms::net() is what it saves. Candidates
// are added to `explain`.
std::optional<Move> place(Policy policy, const View& view, const NewJob& job, PolicyState& state,
                          const Random& random, Decision* explain = nullptr);

// The parts of decide(), one file each.
Decision decide_flow(const View& view, uint64_t seed, bool explain);
Decision decide_mosix(const View& view, uint64_t seed, bool explain);
Decision decide_opportunity(const View& view, PolicyState& state, uint64_t seed, bool explain);
Decision decide_two_choices(const View& view, uint64_t seed, bool explain);
std::optional<Move> place_flow(const View& view, const NewJob& job, uint64_t seed,
                               Decision* explain);
std::optional<Move> place_opportunity(const View& view, const NewJob& job, PolicyState& state,
                                      uint64_t seed, Decision* explain);
std::optional<Move> place_round_robin(const View& view, const NewJob& job, PolicyState& state);
// The smallest process whose departure ends the shortage of memory, or the largest that can go if none suffices, to the
// node that it fits best; nothing if nobody has room.
Decision make_room(const View& view, uint64_t seed, bool explain);
// All guests, because the node is to be left to its owner or emptied: each to the best node that has room, or home.
Decision send_guests_away(const View& view, Cause cause, const Random& random);

}  // namespace om::balance

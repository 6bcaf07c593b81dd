// SPDX-License-Identifier: Apache-2.0
#include "balance/policy.h"

#include <array>

namespace om::balance {
namespace {

constexpr std::array<std::string_view, kPolicies> kNames{"flow",        "mosix",      "opportunity",
                                                         "two-choices", "roundrobin", "off"};

}  // namespace

std::string_view name(Policy policy) { return kNames[static_cast<size_t>(policy)]; }

std::optional<Policy> policy_from_name(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Policy>(i);
  }
  return {};
}

double period_s(Policy policy, const Constants& constants) {
  return policy == Policy::kFlow ? constants.period_s : 1;  // the others were made for seconds
}

bool asks_target(Policy policy) { return policy == Policy::kFlow; }

Decision decide(Policy policy, const View& view, PolicyState& state, const Random& random,
                bool explain) {
  if (policy == Policy::kOff || (view.processes.empty() && !explain)) return {};
  const uint64_t seed = random();
  if (view.missing_bytes > 0 && policy != Policy::kRoundRobin) {
    Decision decision = make_room(view, seed, explain);
    if (!decision.moves.empty()) return decision;
  }
  switch (policy) {
    case Policy::kFlow:
      return decide_flow(view, seed, explain);
    case Policy::kMosix:
      return decide_mosix(view, seed, explain);
    case Policy::kOpportunity:
      return decide_opportunity(view, state, seed, explain);
    case Policy::kTwoChoices:
      return decide_two_choices(view, seed, explain);
    case Policy::kRoundRobin:
    case Policy::kOff:
      break;
  }
  return {};
}

std::optional<Move> place(Policy policy, const View& view, const NewJob& job, PolicyState& state,
                          const Random& random, Decision* explain) {
  switch (policy) {
    case Policy::kFlow:
      return place_flow(view, job, random(), explain);
    case Policy::kOpportunity:
      return place_opportunity(view, job, state, random(), explain);
    case Policy::kRoundRobin:
      return place_round_robin(view, job, state);
    case Policy::kMosix:
    case Policy::kTwoChoices:
    case Policy::kOff:
      break;
  }
  return {};
}

}  // namespace om::balance

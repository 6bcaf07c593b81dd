// SPDX-License-Identifier: Apache-2.0
//
// `mosix`: the rule of the original, as far as its descendants have kept it. A node compares its own smoothed load with
// what others tell, plus the load that the process would add there by 130 %; of its processes the second busiest goes,
// as the busiest has often just come or is about to end. Loads are relative to the speed of all CPUs. After a departure
// it waits for two seconds.
#include <algorithm>

#include "balance/policy.h"
#include "balance/rules.h"

namespace om::balance {
namespace {

constexpr double kStability = 1.3;
constexpr double kPause = 2;  // seconds

double power(const NodeLoad& node) { return node.machine.speed * node.machine.threads; }

}  // namespace

Decision decide_mosix(const View& view, uint64_t seed, bool explain) {
  Decision decision;
  const auto note = [&](size_t process, NodeId target, Against against, double here = 0,
                        double there = 0) {
    if (!explain) return;
    decision.candidates.push_back(
        {process, target, against, {.leave = here, .join = there, .gain = here - there}});
  };
  std::vector<size_t> may;
  for (size_t i = 0; i < view.processes.size(); ++i) {
    const Against against = against_process(view, view.processes[i]);
    if (against == Against::kNothing && view.processes[i].at == nullptr)
      may.push_back(i);
    else
      note(i, {}, against == Against::kNothing ? Against::kNotChosen : against);
  }
  std::stable_sort(may.begin(), may.end(), [&](size_t a, size_t b) {
    return view.processes[a].cpu_share > view.processes[b].cpu_share;
  });
  if (may.empty()) return decision;
  const size_t chosen = may[may.size() > 1 ? 1 : 0];
  for (const size_t i : may) {
    if (i != chosen) note(i, {}, Against::kNotChosen);
  }
  if (view.since_departure_s < kPause || view.departures >= view.constants->departures) {
    note(chosen, {}, Against::kDepartures);
    return decision;
  }
  const double here = view.self.told / power(view.self);
  std::vector<Target> targets = targets_of(view, seed);
  Target* best = nullptr;
  double least = here;
  for (Target& target : targets) {
    const double there = (target.node->told + kStability) / power(*target.node);
    Against against = against_pair(view, view.processes[chosen], target);
    if (against == Against::kNothing)
      against = there < here ? Against::kNotChosen : Against::kMargin;
    note(chosen, target.node->node, against, here, there);
    if (against != Against::kNotChosen || there >= least) continue;
    least = there;
    best = &target;
  }
  if (best == nullptr) return decision;
  const Terms terms{.leave = here, .join = least, .gain = here - least};
  decision.moves.push_back(make_move(view, chosen, *best, terms));
  decision.moves.back().cause = Cause::kLoad;
  return decision;
}

}  // namespace om::balance

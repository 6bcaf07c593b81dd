// SPDX-License-Identifier: Apache-2.0
//
// `two-choices`: looks at two other nodes at random and sends the oldest process that is worth a move to the better
// one, if that is less crowded by a tenth. Power of two choices: simple, and never runs after one node.
#include <algorithm>

#include "balance/policy.h"
#include "balance/rules.h"

namespace om::balance {
namespace {

constexpr double kBetter = 1.1;

double crowd(const NodeLoad& node, double k) {
  return k / (node.machine.speed * capacity(node.machine, node.machine.threads));
}

}  // namespace

Decision decide_two_choices(const View& view, uint64_t seed, bool explain) {
  Decision decision;
  if (view.departures >= view.constants->departures) return decision;
  std::vector<Target> targets = targets_of(view, seed);
  std::erase_if(targets, [&](const Target& target) {
    return target.general != Against::kNothing || target.node->node == view.self.node;
  });
  std::sort(targets.begin(), targets.end(), [&](const Target& a, const Target& b) {
    return chance(seed, a.node->node, 1) < chance(seed, b.node->node, 1);
  });
  if (targets.empty()) return decision;
  const size_t other = std::min<size_t>(1, targets.size() - 1);
  const auto with_one = [](const Target& target) { return crowd(*target.node, target.k + 1); };
  Target& target = targets[with_one(targets[0]) < with_one(targets[other]) ? 0 : other];
  const Terms terms{.leave = crowd(view.self, view.self.k),
                    .join = with_one(target),
                    .gain = crowd(view.self, view.self.k) - with_one(target)};
  const bool better = terms.join * kBetter < terms.leave;
  size_t oldest = kNoProcess;
  for (size_t i = 0; i < view.processes.size(); ++i) {
    const ProcessLoad& process = view.processes[i];
    Candidate candidate{i, target.node->node, against_process(view, process), terms};
    if (candidate.against == Against::kNothing)
      candidate.against = against_pair(view, process, target);
    if (process.at != nullptr) candidate.against = Against::kNotChosen;
    candidate.terms.weight = process.cpu_age_s;
    candidate.terms.cost = frozen_s(view, process, *target.node);
    if (candidate.against == Against::kNothing && !better) candidate.against = Against::kMargin;
    if (candidate.against == Against::kNothing && process.cpu_age_s <= candidate.terms.cost)
      candidate.against = Against::kNoGain;
    if (candidate.against == Against::kNothing) {
      candidate.against = Against::kNotChosen;
      if (oldest == kNoProcess || process.cpu_age_s > view.processes[oldest].cpu_age_s) oldest = i;
    }
    if (explain) decision.candidates.push_back(candidate);
  }
  if (oldest == kNoProcess) return decision;
  decision.moves.push_back(make_move(view, oldest, target, terms));
  decision.moves.back().cause = Cause::kLoad;
  return decision;
}

}  // namespace om::balance

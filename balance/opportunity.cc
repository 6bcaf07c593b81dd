// SPDX-License-Identifier: Apache-2.0
//
// `opportunity`: the opportunity cost approach of Amir, Awerbuch, Barak, Borgstrom and Keren. Each resource of each
// node costs n^(used share), n: number of nodes; a job goes where the sum rises least, so CPU and memory can be
// compared. A process moves if its marginal cost elsewhere is less than half of that here.
#include <algorithm>
#include <cmath>

#include "balance/policy.h"
#include "balance/rules.h"

namespace om::balance {
namespace {

constexpr double kReassign = 0.5;

double relative_load(const NodeLoad& node, double k) {
  return k / (node.machine.speed * node.machine.threads);
}

// The load that counts as full: doubles as soon as more is seen.
double full_load(const View& view, PolicyState& state) {
  double most = relative_load(view.self, view.self.k);
  for (const NodeLoad& node : view.others) most = std::max(most, relative_load(node, node.k));
  while (most > state.most_load && state.most_load < 1e9) state.most_load *= 2;
  return state.most_load;
}

class Costs {
 public:
  Costs(const View& view, PolicyState& state)
      : base_(static_cast<double>(std::max<size_t>(2, view.cluster_size))),
        full_(full_load(view, state)) {}

  // By how much the cost of a node rises from (k, free) to (k + t, free - bytes).
  double added(const NodeLoad& node, double k, double free, double t, double bytes) const {
    return cost(node, k + t, free - bytes) - cost(node, k, free);
  }

 private:
  double cost(const NodeLoad& node, double k, double free) const {
    const double total = std::max(node.total_bytes, 1.0);
    const double memory = std::clamp((node.total_bytes - free) / total, 0.0, 2.0);
    return std::pow(base_, memory) + std::pow(base_, relative_load(node, std::max(0.0, k)) / full_);
  }

  double base_;
  double full_;
};

}  // namespace

Decision decide_opportunity(const View& view, PolicyState& state, uint64_t seed, bool explain) {
  Decision decision;
  if (view.departures >= view.constants->departures) return decision;
  const Costs costs(view, state);
  std::vector<Target> targets = targets_of(view, seed);
  for (size_t i = 0; i < view.processes.size() && decision.moves.empty(); ++i) {
    const ProcessLoad& process = view.processes[i];
    const Against against = against_process(view, process);
    if (against != Against::kNothing || process.at != nullptr) {
      if (explain)
        decision.candidates.push_back(
            {i, {}, against == Against::kNothing ? Against::kNotChosen : against});
      continue;
    }
    const double t = process.threads, bytes = process.resident_bytes;
    Terms terms;
    terms.leave = costs.added(view.self, view.self.k - t, view.self.free_bytes + bytes, t, bytes);
    Target* best = nullptr;
    double least = kReassign * terms.leave;
    for (Target& target : targets) {
      Candidate candidate{i, target.node->node, against_pair(view, process, target), terms};
      candidate.terms.join = costs.added(*target.node, target.k, target.free, t, bytes);
      candidate.terms.gain = terms.leave - candidate.terms.join;
      if (candidate.against == Against::kNothing)
        candidate.against =
            candidate.terms.join < kReassign * terms.leave ? Against::kNotChosen : Against::kMargin;
      if (candidate.against == Against::kNotChosen && candidate.terms.join < least) {
        least = candidate.terms.join;
        best = &target;
      }
      if (explain) decision.candidates.push_back(candidate);
    }
    if (best == nullptr) continue;
    terms.join = least;
    terms.gain = terms.leave - least;
    decision.moves.push_back(make_move(view, i, *best, terms));
    decision.moves.back().cause = Cause::kLoad;
  }
  return decision;
}

std::optional<Move> place_opportunity(const View& view, const NewJob& job, PolicyState& state,
                                      uint64_t seed, Decision* explain) {
  const Costs costs(view, state);
  const ProcessLoad process{.home = view.self.node,
                            .threads = job.threads,
                            .resident_bytes = job.resident_bytes,
                            .feature_class = job.feature_class,
                            .allowed = job.allowed};
  const double here =
      costs.added(view.self, view.self.k, view.self.free_bytes, job.threads, job.resident_bytes);
  std::optional<Move> best;
  double least = here;
  for (const Target& target : targets_of(view, seed)) {
    Candidate candidate{
        kNoProcess, target.node->node, against_pair(view, process, target), {.leave = here}};
    candidate.terms.join =
        costs.added(*target.node, target.k, target.free, job.threads, job.resident_bytes);
    candidate.terms.gain = here - candidate.terms.join;
    if (candidate.against == Against::kNothing)
      candidate.against = candidate.terms.join < here ? Against::kNotChosen : Against::kMargin;
    if (explain != nullptr) explain->candidates.push_back(candidate);
    if (candidate.against != Against::kNotChosen || candidate.terms.join >= least) continue;
    least = candidate.terms.join;
    best = Move{kNoProcess, candidate.target, Cause::kLoad, candidate.terms};
  }
  return best;
}

}  // namespace om::balance

// SPDX-License-Identifier: Apache-2.0
//
// `flow`: phi(k) is the time that k threads of a node together take for a unit of work each; a process moves if that
// makes the sum over both nodes smaller by more than the move costs (model.h). One move after the other, each time the
// one that saves most, as if those before had been made.
#include <algorithm>

#include "balance/policy.h"
#include "balance/rules.h"

namespace om::balance {
namespace {

struct Choice {
  size_t process = kNoProcess;
  Target* target = nullptr;
  Terms terms{};
  double key = 0;
};

class Flow {
 public:
  Flow(const View& view, uint64_t seed)
      : view_(view), seed_(seed), here_k_(view.self.k), targets_(targets_of(view, seed)) {
    for (size_t i = 0; i < view.processes.size(); ++i) {
      if (against_process(view, view.processes[i]) == Against::kNothing) waiting_.push_back(i);
    }
  }

  void choose(Decision& decision) {
    for (unsigned left =
             view_.constants->departures - std::min(view_.departures, view_.constants->departures);
         left > 0; --left) {
      const Choice best = best_of_all();
      if (best.target == nullptr) return;
      decision.moves.push_back(make_move(view_, best.process, *best.target, best.terms));
      const ProcessLoad& process = view_.processes[best.process];
      if (process.at == nullptr) here_k_ = std::max(0.0, here_k_ - process.threads);
      waiting_.erase(std::find(waiting_.begin(), waiting_.end(), best.process));
    }
  }

  // Every process with every target, before any of the moves.
  void explain(Decision& decision) {
    for (const Target& target : view_.processes.empty() ? targets_ : std::vector<Target>()) {
      if (target.general != Against::kNothing)
        decision.candidates.push_back({kNoProcess, target.node->node, target.general});
    }
    for (size_t i = 0; i < view_.processes.size(); ++i) {
      const Against process = against_process(view_, view_.processes[i]);
      if (process != Against::kNothing) decision.candidates.push_back({i, {}, process});
      for (Target& target : targets_) explain_pair(i, process, target, decision);
    }
  }

 private:
  double here_k(const ProcessLoad& process) const {
    return process.at != nullptr ? process.at->k : here_k_;
  }

  void explain_pair(size_t i, Against process, Target& target, Decision& decision) {
    Candidate candidate{i, target.node->node, against_pair(view_, view_.processes[i], target)};
    if (candidate.against == Against::kNotChosen) return;
    candidate.terms = weigh(view_, view_.processes[i], here_k(view_.processes[i]), target);
    if (candidate.against == Against::kNothing)
      candidate.against = against_terms(view_, view_.processes[i], candidate.terms);
    if (process != Against::kNothing) candidate.against = process;
    if (candidate.against == Against::kNothing) candidate.against = Against::kNotChosen;
    decision.candidates.push_back(candidate);
  }

  // Targets in their order, until so many were suitable; the home of a guest wherever it comes.
  void look(size_t i, Choice& best) {
    const ProcessLoad& process = view_.processes[i];
    const bool own = process.home == view_.self.node && process.at == nullptr;
    unsigned looked = 0;
    for (Target& target : targets_) {
      const bool home = target.node->node == process.home;
      if (looked >= view_.constants->targets && !home) {
        if (own) return;
        continue;
      }
      if (target.used || against_pair(view_, process, target) != Against::kNothing) continue;
      looked += !home;
      const Terms terms = weigh(view_, process, here_k(process), target);
      if (against_terms(view_, process, terms) != Against::kNothing) continue;
      const double luck = view_.constants->tie * chance(seed_, target.node->node, i + 1);
      const double key = terms.net() * (1 - luck);
      if (best.target == nullptr || key > best.key) best = {i, &target, terms, key};
    }
  }

  Choice best_of_all() {
    Choice best;
    for (const size_t i : waiting_) look(i, best);
    return best;
  }

  const View& view_;
  const uint64_t seed_;
  double here_k_;
  std::vector<Target> targets_;
  std::vector<size_t> waiting_;  // processes that may move, by index
};

}  // namespace

Decision decide_flow(const View& view, uint64_t seed, bool explain) {
  Decision decision;
  Flow flow(view, seed);
  if (explain) flow.explain(decision);
  flow.choose(decision);
  for (const Move& move : explain ? decision.moves : std::vector<Move>()) {
    for (Candidate& candidate : decision.candidates) {
      if (candidate.process == move.process && candidate.target == move.to)
        candidate.against = Against::kNothing;
    }
  }
  return decision;
}

std::optional<Move> place_flow(const View& view, const NewJob& job, uint64_t seed,
                               Decision* explain) {
  const Constants& constants = *view.constants;
  const ProcessLoad process{.home = view.self.node,
                            .threads = job.threads,
                            .resident_bytes = job.resident_bytes,
                            .feature_class = job.feature_class,
                            .allowed = job.allowed};
  Terms terms{.leave = join_time(view.self.machine, view.self.k, job.threads),
              .weight = constants.weight_at_exec_s,
              .cost = constants.placement_cost_s};
  const bool crowded = view.self.free_bytes < room_needed(constants, view.self, job.resident_bytes);
  std::optional<Move> best;
  for (Target& target : targets_of(view, seed)) {
    Candidate candidate{kNoProcess, target.node->node, against_pair(view, process, target), terms};
    candidate.terms.join = join_time(target.node->machine, target.k, job.threads);
    candidate.terms.gain = terms.weight * (terms.leave - candidate.terms.join);
    if (candidate.against == Against::kNothing && !crowded) {
      if (candidate.terms.join >= constants.placement_factor * terms.leave)
        candidate.against = Against::kMargin;
      else if (candidate.terms.net() <= 0)
        candidate.against = Against::kNoGain;
    }
    if (candidate.against == Against::kNothing) {
      if (best) candidate.against = Against::kNotChosen;
      if (!best) best = Move{kNoProcess, candidate.target, Cause::kLoad, candidate.terms};
    }
    if (explain != nullptr)
      explain->candidates.push_back(candidate);
    else if (best)
      break;
  }
  return best;
}

}  // namespace om::balance

// SPDX-License-Identifier: Apache-2.0
//
// What does not ask what CPUs do: processes that leave because memory is short, and guests that leave because their
// node is wanted for something else.
#include <algorithm>

#include "balance/policy.h"
#include "balance/rules.h"

namespace om::balance {
namespace {

// Where a process fits best: least is left over.
Target* best_fit(const View& view, const ProcessLoad& process, std::vector<Target>& targets) {
  Target* best = nullptr;
  for (Target& target : targets) {
    if (target.used || against_pair(view, process, target) != Against::kNothing) continue;
    if (best == nullptr || target.free < best->free) best = &target;
  }
  return best;
}

bool better_to_go(const View& view, size_t a, size_t b) {
  const double x = view.processes[a].resident_bytes, y = view.processes[b].resident_bytes;
  const bool x_ends_it = x >= view.missing_bytes, y_ends_it = y >= view.missing_bytes;
  if (x_ends_it != y_ends_it) return x_ends_it;
  return x_ends_it ? x < y : x > y;
}

}  // namespace

Decision make_room(const View& view, uint64_t seed, bool explain) {
  Decision decision;
  std::vector<Target> targets = targets_of(view, seed);
  std::vector<size_t> order;
  for (size_t i = 0; i < view.processes.size(); ++i) {
    const Against against = against_process(view, view.processes[i]);
    const bool here = view.processes[i].at == nullptr;
    // Its age says nothing about its memory.
    if (here && (against == Against::kNothing || against == Against::kYoung))
      order.push_back(i);
    else if (explain && here)
      decision.candidates.push_back({i, {}, against});
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return better_to_go(view, a, b); });
  if (view.departures >= view.constants->departures) return decision;
  for (const size_t i : order) {
    Target* target = best_fit(view, view.processes[i], targets);
    const NodeId to = target == nullptr ? NodeId{} : target->node->node;
    const bool goes = target != nullptr && decision.moves.empty();
    const Against against = goes                ? Against::kNothing
                            : target == nullptr ? Against::kMemory
                                                : Against::kNotChosen;
    if (explain) decision.candidates.push_back({i, to, against});
    if (goes) {
      decision.moves.push_back(
          make_move(view, i, *target, weigh(view, view.processes[i], view.self.k, *target)));
      decision.moves.back().cause = Cause::kMemory;
    }
    if (!decision.moves.empty() && !explain) break;
  }
  return decision;
}

Decision send_guests_away(const View& view, Cause cause, const Random& random) {
  Decision decision;
  std::vector<Target> targets = targets_of(view, random());
  for (size_t i = 0; i < view.processes.size(); ++i) {
    const ProcessLoad& process = view.processes[i];
    if (process.home == view.self.node || process.at != nullptr || process.moving) continue;
    Target* best = nullptr;
    double least = 0;
    for (Target& target : targets) {
      if (process.locked && target.node->node != process.home) continue;
      if (against_pair(view, process, target) != Against::kNothing) continue;
      const double join = join_time(target.node->machine, target.k, process.threads);
      if (best == nullptr || join < least) {
        best = &target;
        least = join;
      }
    }
    Move move{i, process.home, cause, {}};
    if (best != nullptr) move = make_move(view, i, *best, weigh(view, process, view.self.k, *best));
    move.cause = cause;
    decision.moves.push_back(move);
  }
  return decision;
}

}  // namespace om::balance

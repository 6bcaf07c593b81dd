// SPDX-License-Identifier: Apache-2.0
//
// `roundrobin`: every job starts on the next node, in the order of ids, this one included; nothing moves afterwards.
#include "balance/policy.h"
#include "balance/rules.h"

namespace om::balance {

std::optional<Move> place_round_robin(const View& view, const NewJob& job, PolicyState& state) {
  const ProcessLoad process{.home = view.self.node,
                            .threads = job.threads,
                            .resident_bytes = job.resident_bytes,
                            .feature_class = job.feature_class,
                            .allowed = job.allowed};
  // The least id above the last one, or else the least of all.
  std::optional<NodeId> next, first;
  const auto offer = [&](NodeId node) {
    if (!first || node < *first) first = node;
    if (node > state.last_placed && (!next || node < *next)) next = node;
  };
  offer(view.self.node);
  for (const Target& target : targets_of(view, 0)) {
    if (against_pair(view, process, target) == Against::kNothing) offer(target.node->node);
  }
  state.last_placed = next ? *next : *first;
  if (state.last_placed == view.self.node) return {};
  return Move{kNoProcess, state.last_placed, Cause::kLoad, {}};
}

}  // namespace om::balance

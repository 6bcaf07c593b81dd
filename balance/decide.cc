// SPDX-License-Identifier: Apache-2.0
#include "balance/decide.h"

#include <algorithm>

namespace om::balance {

std::optional<Reason> refuse_target(const Snapshot& snapshot, const std::string& node) {
  const auto it = std::find_if(snapshot.nodes.begin(), snapshot.nodes.end(),
                               [&node](const NodeView& view) { return view.name == node; });
  if (it == snapshot.nodes.end())
    return Reason{ReasonCode::kTargetUnreachable, node + " is no peer"};
  if (it->up) return std::nullopt;
  return Reason{ReasonCode::kTargetUnreachable, node + ", " + it->why_down};
}

std::vector<Action> recall_all(const Snapshot& snapshot) {
  std::vector<Action> actions;
  for (const ProcessView& process : snapshot.processes) {
    if (process.reachable) actions.push_back({process.id, snapshot.self});
  }
  return actions;
}

}  // namespace om::balance

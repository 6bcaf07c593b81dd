// SPDX-License-Identifier: Apache-2.0
#include "migrator/members/suspicions.h"

#include <algorithm>

namespace om::members {

std::vector<NodeId> Suspicions::due(MonotonicTime now, Milliseconds again) {
  std::vector<NodeId> nodes;
  for (auto& [node, dial_at] : waiting_) {
    if (dial_at > now) continue;
    dial_at = now + again;
    nodes.push_back(node);
  }
  return nodes;
}

void Suspicions::postpone(Milliseconds by) {
  for (auto& [node, dial_at] : waiting_) dial_at += by;
}

MonotonicTime Suspicions::next() const {
  MonotonicTime first = MonotonicTime::max();
  for (const auto& [node, dial_at] : waiting_) first = std::min(first, dial_at);
  return first;
}

}  // namespace om::members

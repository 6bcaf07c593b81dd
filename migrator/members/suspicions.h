// SPDX-License-Identifier: Apache-2.0
//
// The members that are suspected, and when each is to be dialled: soon by the node that suspected it first, later by
// those that have only heard of it. A suspicion ends when the caller withdraws it; without an answer of the dial, it
// falls due again.
#pragma once

#include <map>
#include <vector>

#include "common/base/clock.h"
#include "migrator/members/node_record.h"

namespace om::members {

class Suspicions {
 public:
  // Replaces an earlier suspicion of the same node.
  void add(NodeId node, MonotonicTime dial_at) { waiting_[node] = dial_at; }
  void withdraw(NodeId node) { waiting_.erase(node); }
  bool has(NodeId node) const { return waiting_.contains(node); }

  // The nodes to dial now; they fall due again after `again`.
  std::vector<NodeId> due(MonotonicTime now, Milliseconds again);
  // After a pause of this node, in which it could not hear objections.
  void postpone(Milliseconds by);
  // When due() has something, or time_point::max().
  MonotonicTime next() const;
  size_t size() const { return waiting_.size(); }

 private:
  std::map<NodeId, MonotonicTime> waiting_;  // when to dial; at most one a member
};

}  // namespace om::members

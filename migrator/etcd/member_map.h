// SPDX-License-Identifier: Apache-2.0
//
// The members as etcd has them: a key that is there is a member, one that is gone without a farewell is a member that
// is down. Pure.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "common/base/clock.h"
#include "migrator/etcd/records.h"
#include "migrator/members/change_kind.h"
#include "migrator/members/member_view.h"

namespace om::etcd {

struct Now {
  MonotonicTime time;
  WallTime wall;
};

struct MemberChange {
  members::ChangeKind kind{};
  members::MemberView member;
};

class MemberMap {
 public:
  static constexpr std::chrono::hours kForgetDown{24}, kForgetLeft{1};

  MemberMap(NodeId self, size_t most) : self_(self), most_(most) {}

  // Its key is there, with this value.
  void put(const Now& now, const NodeState& node);
  // Its key is gone: it is down from `down_at` on, if the key has not come back until then.
  void gone(const Now& now, NodeId node, MonotonicTime down_at);
  // Of all others the keys are gone.
  void keep(const Now& now, const std::set<NodeId>& present, MonotonicTime down_at);
  // Nothing can be said of keys that are gone until keep() is called again.
  void suspend();
  void deny(const Now& now, NodeId node);
  void tick(const Now& now);
  std::optional<MonotonicTime> next_wake() const;

  std::vector<members::MemberView> all() const;
  std::optional<members::MemberView> find(NodeId node) const;
  // What has happened since the last call, in its order.
  std::vector<MemberChange> take_changes();

 private:
  struct Known {
    members::MemberView view;
    MonotonicTime since{};
    std::optional<MonotonicTime> down_at{};  // its key is gone
  };

  bool make_room();
  void change(const Now& now, Known& known, members::State state, members::ChangeKind kind);

  NodeId self_;
  size_t most_;
  std::map<NodeId, Known> members_;
  std::set<NodeId> denied_;
  std::vector<MemberChange> changes_;
};

}  // namespace om::etcd

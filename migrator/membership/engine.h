// SPDX-License-Identifier: Apache-2.0
//
// What a daemon needs of a membership, whoever knows the members: gossip between them (gossip_engine.h) or an etcd
// that the site runs (etcd_engine.h). NodeMembership makes one while the node may have a membership, and everything
// above it knows this interface only. Loop thread only.
#pragma once

#include <stdint.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/node_id.h"
#include "common/base/result.h"
#include "migrator/cluster/shared_tokens.h"
#include "migrator/gossip/sightings.h"
#include "migrator/identity/cluster_files.h"
#include "migrator/members/change_kind.h"
#include "migrator/members/member_view.h"
#include "migrator/peers/cluster_news.h"

namespace om::migrator {

class MembershipEngine {
 public:
  struct Events {
    // After each change; of a denied or forgotten node only the id may be set.
    std::function<void(members::ChangeKind, const members::MemberView&)> on_change;
    // Others use a group key that this node does not have. `holder`: a node that has it; empty: not known. Group keys
    // themselves pass over TLS only.
    std::function<void(const std::string& holder)> on_unknown_key;
    // Whether `entry` denies `node` and was signed by the CA. One that does is a change (kDenied) right afterwards.
    std::function<bool(NodeId node, std::string_view entry)> verify_deny;
    // What is to be in `om events`, besides changes of members: kind, sentence.
    std::function<void(const char* kind, const std::string& text)> on_event;
  };

  virtual ~MembershipEngine() noexcept(false) = default;  // as KJ has it

  // Looks for others from now on.
  virtual void start() = 0;

  // All others that are known, and one of them.
  virtual std::vector<members::MemberView> members() const = 0;
  virtual std::optional<members::MemberView> find(NodeId node) const = 0;
  // Nodes of other clusters and versions on the same links.
  virtual std::vector<members::Sighting> others() const { return {}; }
  // What was refused of what others sent, by cause.
  virtual std::vector<std::pair<std::string, uint64_t>> refused() const = 0;

  // What this node says of itself (bits of NodeRecord::features); nothing happens if it says so already.
  virtual void restate(uint64_t features) = 0;
  // The group key that this node has; nothing happens if it is the one of before.
  virtual Result<void> use_group_key(const GroupKey& key) = 0;
  // A node was removed. The entry is the CA's; all are to know it.
  virtual void deny(NodeId node, std::string_view entry) = 0;
  // Says goodbye. How long the engine is to live after that.
  virtual Milliseconds leave() = 0;

  // The tokens that all signers share; nullptr: each has its own.
  virtual SharedTokens* tokens() { return nullptr; }

  // For members that ask over TLS, where members tell each other of members: another one suspects this node (its
  // incarnation is the answer); a piece of all that is known.
  virtual std::optional<uint64_t> accused(uint64_t) { return std::nullopt; }
  virtual std::optional<MemberPage> page(const std::string&) const { return std::nullopt; }
};

}  // namespace om::migrator

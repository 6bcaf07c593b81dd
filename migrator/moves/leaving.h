// SPDX-License-Identifier: Apache-2.0
//
// What happens before a process leaves this node: the checks before a deputy is involved, and the deputy's question
// whether another node accepts the process.
#pragma once

#include <kj/async.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/uv/loop.h"
#include "common/uv/task_errors.h"
#include "migrator/moves/deputy_link.h"
#include "migrator/peers/peer_table.h"

namespace om::migrator {

class Leaving {
 public:
  struct Policy {
    std::string node;  // own name
    Address listen;    // where peers reach this node
    bool root_may_leave = false;
    bool plain = false;                     // nothing between nodes is encrypted
    std::vector<std::string> cpu_features;  // of this node
  };
  Leaving(Loop& loop, Policy policy, PeerTable& peers);
  ~Leaving();

  // What prevents moving the process; on any thread. native: it is at home and has no deputy, which would check itself.
  static std::vector<Reason> preflight(pid_t pid, bool native, bool root_may_leave);

  // Why this node does not let the process leave although it could move, or nullopt; called from the loop.
  using Done = std::function<void(const std::optional<Reason>&)>;
  void look_at_privileges(pid_t pid, Done done);

  // Asks node `to` to admit the process and start a keeper.
  void need_guest(pid_t pid, const std::string& to, Offer offer, DeputyLink::GuestAnswer answer);

 private:
  void ask(pid_t pid, const std::string& to, Offer offer, DeputyLink::GuestAnswer answer);

  Loop& loop_;
  Policy policy_;
  PeerTable& peers_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what comes back from the pool
  TaskErrors errors_{"node", LogLevel::kError};
  kj::Own<kj::TaskSet> tasks_;  // requests in progress
};

}  // namespace om::migrator

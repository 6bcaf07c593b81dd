// SPDX-License-Identifier: Apache-2.0
//
// Composition root of om-migrator: makes every part, hands each what it depends on, and holds them in the
// order in which they must go. The parts do not know this class.
#pragma once

#include <memory>

#include "balance/snapshot.h"
#include "common/base/clock.h"
#include "common/base/unique_fd.h"
#include "common/uv/loop.h"
#include "common/uv/uvkj.h"
#include "migrator/config/options.h"
#include "migrator/control/control_server.h"
#include "migrator/control/services.h"
#include "migrator/moves/child_list.h"
#include "migrator/moves/deputies.h"
#include "migrator/moves/keepers.h"
#include "migrator/moves/move_queue.h"
#include "migrator/peers/node_service.h"
#include "migrator/peers/peer_table.h"
#include "migrator/processes/census.h"
#include "migrator/processes/events.h"
#include "migrator/processes/process_table.h"

namespace om::migrator {

class Node {
 public:
  // Opens everything; the Error says what could not be.
  static Result<std::unique_ptr<Node>> create(const Options& options);
  ~Node();

  // Until SIGTERM or SIGINT.
  void run();

  // {name, address, port, control, pid}: what --ready-fd gets.
  Json ready_line() const;

 private:
  Node(const Options& options, OwnDirectory state, UniqueFd listener, NodeFacts fixed_facts,
       std::optional<std::pair<uid_t, gid_t>> guest_owner);

  NodeFacts facts();
  void sample();
  Result<void> reload_peers();
  kj::Promise<std::optional<Reason>> admit(const Offer& offer);
  std::optional<Reason> admitted(const Offer& offer, Result<void> possible,
                                 std::optional<Reason> refusal);
  // For balance/: this node, its peers, the processes that have deputies.
  balance::Snapshot snapshot();
  std::optional<Reason> check_target(const std::string& name);
  void need_guest(pid_t pid, const std::string& to, Offer offer, DeputyLink::GuestAnswer answer);
  void ask_for_guest(pid_t pid, const std::string& to, Offer offer, DeputyLink::GuestAnswer answer);
  // Why this node lets the process go nowhere although it could, or nullopt; called from the loop.
  void look_at_privileges(pid_t pid, std::function<void(const std::optional<Reason>&)> done);
  Services services();
  PeerLink::Local peer_local();
  NodeService::Local service_local();

  Options options_;
  OwnDirectory state_;
  NodeFacts fixed_facts_;
  SystemClock clock_;
  Loop loop_;
  UvKj kj_;
  ChildList children_;
  AttachKey attach_key_;
  Events events_;
  ProcessTable processes_;
  Census census_;
  Keepers keepers_;
  Deputies deputies_;
  MoveQueue moves_;
  PeerTable peers_;
  NodeService service_;
  kj::Own<kj::TaskSet::ErrorHandler> task_errors_;
  kj::Own<kj::TaskSet> tasks_;  // admissions under way
  std::unique_ptr<class Verbs> verbs_;
  std::unique_ptr<ControlServer> control_;
  Timer sampler_;
  bool sampling_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what comes back from the pool
  std::unique_ptr<SignalWatcher> hangup_;
  std::unique_ptr<SignalWatcher> terminate_;
  std::unique_ptr<SignalWatcher> interrupt_;
};

}  // namespace om::migrator

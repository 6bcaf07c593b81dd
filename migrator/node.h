// SPDX-License-Identifier: Apache-2.0
//
// Composition root of om-migrator: makes every part, passes each its dependencies, and holds them in an order that
// destroys them safely. The parts do not know this class.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "balance/snapshot.h"
#include "common/base/clock.h"
#include "common/base/unique_fd.h"
#include "common/uv/loop.h"
#include "common/uv/uvkj.h"
#include "migrator/cluster/cluster_service.h"
#include "migrator/config/options.h"
#include "migrator/control/control_server.h"
#include "migrator/control/services.h"
#include "migrator/load/load_sampler.h"
#include "migrator/load/own_speed.h"
#include "migrator/load/topology.h"
#include "migrator/membership/member_search.h"
#include "migrator/membership/node_membership.h"
#include "migrator/moves/child_list.h"
#include "migrator/moves/deputies.h"
#include "migrator/moves/guest_admission.h"
#include "migrator/moves/keepers.h"
#include "migrator/moves/leaving.h"
#include "migrator/moves/move_queue.h"
#include "migrator/peers/listening.h"
#include "migrator/peers/node_service.h"
#include "migrator/peers/peer_table.h"
#include "migrator/peers/refusals.h"
#include "migrator/peers/trust.h"
#include "migrator/processes/census.h"
#include "migrator/processes/events.h"
#include "migrator/processes/process_table.h"
#include "migrator/processes/sampler.h"

namespace om::migrator {

class Node {
 public:
  // Opens everything; the Error says what could not be opened.
  static Result<std::unique_ptr<Node>> create(const Options& options);
  ~Node();

  // Runs until SIGTERM or SIGINT.
  void run();

  // {name, address, port, control, pid}: written to --ready-fd.
  Json ready_line() const;

 private:
  // Helper programs, including those of an earlier daemon.
  struct Children {
    Children(Node& node, const GuestUsers::Settings& guest_users);
    ChildList list;
    AttachKey key;
    Keepers keepers;
    Deputies deputies;
  };
  // Processes of this node.
  struct Processes {
    explicit Processes(Node& node);
    ProcessTable table;
    Census census;
    Sampler sampler;
  };
  // How busy and how fast this machine is.
  struct OwnLoad {
    explicit OwnLoad(Node& node);
    CpuCounts cpus;
    OwnSpeed speed;
    LoadSampler sampler;
  };
  // The other nodes, and what goes to and comes from them.
  struct Peers {
    Peers(Node& node, Trust trusted, Listening listening);
    Trust trust;
    Refusals refusals;
    ClusterDesk desk;  // of cluster_service
    PeerTable table;
    Leaving leaving;
    GuestAdmission admission;
    Cluster cluster;
    ClusterService cluster_service;
    MemberSearch search;
    NodeMembership membership;
    NodeService service;
  };
  Node(const Options& options, OwnDirectory state, Trust trust, Listening listening,
       NodeFacts fixed_facts, const GuestUsers::Settings& guest_users);

  // Takes as peers who is named by the peers file or the verb peers.set, and the members of the cluster.
  void use_peers();
  void use_members();
  void end_sessions_with(const std::string& node);
  // Whether this node may talk to nobody: it listens on a network, and is in no cluster.
  bool quiet() const;
  Result<void> reload_peers();
  Result<void> reload_credentials();
  void reload_all();
  // For balance/: this node, its peers, and the processes that have deputies.
  balance::Snapshot snapshot();
  // For the sampler: processes that have left.
  std::map<ProcessId, std::optional<AwayUsage>> away();
  // For load_scope = "node": threads of our processes and of the guests here.
  void count_running(LoadSampler::Told told);
  Services services();
  PeerLink::Local peer_local();
  NodeService::Local service_local();
  members::DiscoverySettings discovery_settings() const;
  std::optional<EtcdSettings> etcd_settings() const;
  NodeMembership::Local membership_local();
  ClusterDesk desk();
  Cluster::Local cluster_local();
  void serve();
  void keep_house();
  // What SIGTERM and SIGINT ask for.
  void end();
  std::optional<Reason> refuse_target(const std::string& name);

  Options options_;
  const bool may_be_plain_;  // where it listens it may also speak without TLS
  Rights rights_;
  OwnDirectory state_;
  SystemClock clock_;
  Loop loop_;
  UvKj kj_;
  Timer members_changed_;
  std::vector<Peer> named_peers_;
  Events events_;
  OwnFacts facts_;
  Processes processes_;
  Children children_;
  OwnLoad load_;
  MoveQueue moves_;
  Peers peers_;
  std::unique_ptr<class Verbs> verbs_;
  std::unique_ptr<ControlServer> control_;
  bool ending_ = false;
  Timer farewell_;
  Timer housekeeping_;
  unsigned kept_house_ = 0;
  std::vector<std::unique_ptr<SignalWatcher>> signals_;
};

}  // namespace om::migrator

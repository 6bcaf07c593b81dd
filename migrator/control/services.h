// SPDX-License-Identifier: Apache-2.0
//
// What the verbs of the control socket use: the parts of a node, and what only the node as a whole knows. Node makes
// one; everything in it outlives the verbs.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "balance/snapshot.h"
#include "common/base/result.h"
#include "common/movable/reasons.h"
#include "common/net/address.h"
#include "common/net/json_line.h"
#include "common/uv/loop.h"
#include "common/uv/uvkj.h"
#include "migrator/cluster/cluster_service.h"
#include "migrator/control/rights.h"
#include "migrator/load/load_sampler.h"
#include "migrator/load/own_speed.h"
#include "migrator/load/topology.h"
#include "migrator/membership/node_membership.h"
#include "migrator/moves/deputies.h"
#include "migrator/moves/guest_admission.h"
#include "migrator/moves/keepers.h"
#include "migrator/moves/leaving.h"
#include "migrator/moves/move_queue.h"
#include "migrator/peers/facts.h"
#include "migrator/peers/peer_table.h"
#include "migrator/peers/refusals.h"
#include "migrator/peers/trust.h"
#include "migrator/processes/census.h"
#include "migrator/processes/events.h"
#include "migrator/processes/process_table.h"
#include "migrator/processes/sampler.h"

namespace om::migrator {

struct Services {
  UvKj& kj;
  Loop& loop;
  ProcessTable& processes;
  Census& census;
  const Sampler& sampler;
  Keepers& keepers;
  Deputies& deputies;
  MoveQueue& moves;
  Leaving& leaving;
  PeerTable& peers;
  GuestAdmission& admission;
  Events& events;
  const OwnFacts& facts;
  const LoadSampler& load;
  const OwnSpeed& speed;
  const CpuCounts& cpus;
  const Rights& rights;
  Cluster& cluster;
  ClusterService& cluster_service;
  const NodeMembership& membership;
  const Clock& clock;
  const Trust& trust;
  const Refusals& refusals;

  std::string name;                  // of this node
  bool remote_control;               // what is configured
  proc::Isolation guest_namespaces;  // what is configured
  Address address;                   // where it listens for other nodes
  // {name, address, port, control, pid}
  std::function<Json()> ready_line;
  // The current state, as input for decisions.
  std::function<balance::Snapshot()> snapshot;
  // What an administrator names as peers, besides the members of the cluster.
  std::function<void(std::vector<Peer>)> set_peers;
  // On Error the peers stay as they were.
  std::function<Result<void>()> reload_peers;
  // Has the files of identity/credentials.h read: after joining, leaving or a renewal. On Error all stays as it was.
  std::function<Result<void>()> reload_credentials;
};

}  // namespace om::migrator

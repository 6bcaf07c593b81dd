// SPDX-License-Identifier: Apache-2.0
//
// The daemons of a local cluster (om cluster dev), and what they have started.
#pragma once

#include <signal.h>

#include <string>
#include <vector>

#include "cli/cluster_state.h"
#include "cli/daemons.h"

namespace om::cli {

// Starts om-migrator for `node` in a session of its own, in the node's network namespace if it has one, and waits until
// it is ready. node.daemon is set as soon as there is a process. `mask`: the daemon's signal mask.
Result<ReadyLine> start_daemon(const OwnDirectory& dir, const ClusterState& state,
                               ClusterNode& node, const std::string& program, const sigset_t& mask);

// Deputies and keepers that the cluster's daemons have recorded and that still run, with everything in their sessions.
std::vector<ProcessId> cluster_children(const OwnDirectory& dir, const ClusterState& state);

}  // namespace om::cli

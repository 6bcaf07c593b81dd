// SPDX-License-Identifier: Apache-2.0
//
// Starts and ends the daemons of a local cluster, and what they have started.
#pragma once

#include <signal.h>

#include <string>
#include <vector>

#include "cli/cluster_state.h"
#include "common/base/clock.h"

namespace om::cli {

// What om-migrator reported when it was ready.
struct ReadyLine {
  std::string address;  // with port
};

// Starts om-migrator for `node` in a session of its own, in the node's network namespace if it has one, and waits until
// it is ready. node.daemon is set as soon as there is a process. `mask`: the daemon's signal mask.
Result<ReadyLine> start_daemon(const OwnDirectory& dir, const ClusterState& state,
                               ClusterNode& node, const std::string& program, const sigset_t& mask);

// Deputies and keepers that the cluster's daemons have recorded and that still run, with everything in their sessions.
std::vector<ProcessId> cluster_children(const OwnDirectory& dir, const ClusterState& state);

// Sends SIGTERM to each, and SIGKILL to those that remain after `patience`; only to exactly these processes. Returns
// those that could not be ended.
std::vector<ProcessId> end_processes(const std::vector<ProcessId>& processes,
                                     Milliseconds patience);

}  // namespace om::cli

// SPDX-License-Identifier: Apache-2.0
//
// What `om cluster dev` remembers of a cluster between start, env and stop: D/cluster.json. It is written before and
// after every step, so that stop can clean up after a start that was interrupted anywhere.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/base/own_directory.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"
#include "common/proc/process_id.h"

namespace om::cli {

struct ClusterNode {
  std::string name;
  std::string address;  // with port once it is up
  std::string control;
  std::string namespace_name;  // of the network, empty without --netns
  std::optional<ProcessId> daemon;
};

struct ClusterState {
  std::string dir;               // absolute
  bool made_dir = false;         // stop removes it
  std::string switch_namespace;  // holds the bridge; empty without --netns
  std::vector<ClusterNode> nodes;
  bool plain = false;  // of start only, not saved: its daemons get --wire plain
};

// The absolute path, without links before its last component. The directory need not exist.
Result<std::string> absolute_path(const std::string& path);

// Eight hexadecimal digits that identify the directory in names outside it.
std::string cluster_tag(const std::string& absolute_dir);

std::string node_dir(const ClusterState& state, const std::string& node);
std::string state_file(const std::string& dir);

// D/nK/control.sock, or one in socket_dir() if that path is too long for a socket.
std::string control_path_in(const ClusterState& state, const std::string& node);
// The other place for control sockets: outside D, and the same for every start and stop by this user. start creates it
// if needed, stop removes it.
std::string socket_dir(const std::string& absolute_dir);

// Everything is read and written through D as a directory of our own: another user's directory is not trusted.
Result<void> save_cluster(const OwnDirectory& dir, const ClusterState& state);
// ENOENT: there is no cluster in this directory.
Result<ClusterState> load_cluster(const OwnDirectory& dir);

// Makes sure that only one start or stop works on a directory at a time. Held as long as `dir` is open.
Result<void> lock_cluster(const OwnDirectory& dir);

}  // namespace om::cli

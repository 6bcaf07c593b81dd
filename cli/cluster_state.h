// SPDX-License-Identifier: Apache-2.0
//
// What `om cluster dev` remembers of a cluster between start, env and stop: D/cluster.json. It is written
// before and after every step, so that stop can clear up after a start that was cut off anywhere.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/process_id.h"
#include "common/result.h"
#include "common/unique_fd.h"

namespace om::cli {

struct ClusterNode {
  std::string name;
  std::string address;  // with port once it is up
  std::string control;
  std::string namespace_name;  // of the network, empty without --netns
  std::optional<ProcessId> daemon;
};

struct ClusterState {
  std::string dir;        // absolute
  bool made_dir = false;  // stop removes it again
  std::string
      socket_dir;  // other place for control sockets if D is too long for them; stop removes it
  std::string switch_namespace;  // holds the bridge; empty without --netns
  std::vector<ClusterNode> nodes;
};

// Absolute, without links. The directory need not exist.
Result<std::string> absolute_path(const std::string& path);

// Eight hexadecimal digits that stand for the directory in names outside it.
std::string cluster_tag(const std::string& absolute_dir);

std::string node_dir(const ClusterState& state, const std::string& node);
std::string state_file(const std::string& dir);

// D/nK/control.sock, or a shorter place outside if that is too long for a socket.
std::string control_path_in(ClusterState& state, const std::string& node);

Result<void> save_cluster(const ClusterState& state);
// ENOENT: there is no cluster in this directory.
Result<ClusterState> load_cluster(const std::string& absolute_dir);

// Only one start or stop works on a directory at a time; released by closing.
Result<UniqueFd> lock_cluster(const std::string& dir);

}  // namespace om::cli

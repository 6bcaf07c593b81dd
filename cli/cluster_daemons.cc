// SPDX-License-Identifier: Apache-2.0
#include "cli/cluster_daemons.h"

#include "cli/cluster_identity.h"
#include "cli/cluster_netns.h"

namespace om::cli {

Result<ReadyLine> start_daemon(const OwnDirectory& dir, const ClusterState& state,
                               ClusterNode& node, const std::string& program,
                               const sigset_t& mask) {
  const OwnDirectory own = OM_TRY(dir.inside(node.name));
  DaemonStart start{program, {}, "", mask, 0};
  start.arguments = {"--name", node.name, "--control", node.control, "--listen", node.address,
                     "--peers", state.dir + "/peers", "--state", own.path(),
                     // All nodes are this machine, so nobody else becomes root here.
                     "--root-may-leave", "--identity", own.path() + "/" + LocalCa::kFolder};
  // Those that run already; the others find this one by themselves.
  constexpr size_t kSeeds = 3;
  std::string seeds;
  for (const ClusterNode& other : state.nodes) {
    if (other.name == node.name || &other == &state.nodes[0] + kSeeds) break;
    seeds += (seeds.empty() ? "" : ",") + other.address;
  }
  if (!state.plain && !seeds.empty())
    start.arguments.insert(start.arguments.end(), {"--seeds", seeds});
  if (state.plain) start.arguments.insert(start.arguments.end(), {"--wire", "plain"});
  if (!node.namespace_name.empty()) {
    start.arguments.insert(start.arguments.end(), {"--netns-private", kClusterSubnet});
    start.network = "/run/netns/" + node.namespace_name;
  }
  return launch_daemon(own, start, [&](ProcessId process) {
    node.daemon = process;
    return save_cluster(dir, state);
  });
}

std::vector<ProcessId> cluster_children(const OwnDirectory& dir, const ClusterState& state) {
  std::vector<ProcessId> leaders;
  for (const ClusterNode& node : state.nodes) {
    const auto own = dir.inside(node.name);
    if (!own) continue;
    const std::vector<ProcessId> found = recorded_children(*own);
    leaders.insert(leaders.end(), found.begin(), found.end());
  }
  return with_sessions(std::move(leaders));
}

}  // namespace om::cli

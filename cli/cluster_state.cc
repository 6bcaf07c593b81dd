// SPDX-License-Identifier: Apache-2.0
#include "cli/cluster_state.h"

#include <fmt/core.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/cluster_netns.h"
#include "common/base/hex.h"
#include "common/base/names.h"
#include "common/net/json_line.h"

namespace om::cli {
namespace {

constexpr const char* kStateFile = "cluster.json";

Json node_json(const ClusterNode& node) {
  Json value{{"name", node.name},
             {"address", node.address},
             {"control", node.control},
             {"namespace", node.namespace_name}};
  if (node.daemon) {
    value["pid"] = node.daemon->pid;
    value["start"] = node.daemon->start_ticks;
  }
  return value;
}

// `tag`: of the cluster; anything with another name is not ours to delete.
Result<ClusterNode> parse_node(const Json& value, const std::string& tag) {
  ClusterNode node;
  node.name = OM_TRY(json_string(value, "name", kMaxNodeName));
  if (!valid_node_name(node.name)) return plain_error("bad node name");
  node.address = OM_TRY(json_string(value, "address", 128));
  node.control = OM_TRY(json_string(value, "control", kMaxControlPath));
  node.namespace_name = OM_TRY(json_string(value, "namespace", 64));
  if (!node.namespace_name.empty() && node.namespace_name != namespace_name(tag, node.name))
    return plain_error("a namespace of another cluster");
  if (value.contains("pid")) {
    ProcessId daemon;
    daemon.pid = static_cast<pid_t>(OM_TRY(json_int(value, "pid", 1, INT32_MAX)));
    daemon.start_ticks = static_cast<uint64_t>(OM_TRY(json_int(value, "start", 0, INT64_MAX)));
    node.daemon = daemon;
  }
  return node;
}

}  // namespace

Result<std::string> absolute_path(const std::string& path) {
  std::error_code error;
  const std::filesystem::path given = std::filesystem::absolute(path, error);
  if (error) return Error{error.value(), path};
  const auto [parent, name] = split_path(given.string());
  // The last component stays as it is: OwnDirectory checks whether it is a link.
  const bool plain = !name.empty() && name != "." && name != "..";
  auto real = std::filesystem::weakly_canonical(plain ? parent : given.string(), error);
  if (error) return Error{error.value(), path};
  std::string text = plain ? (real / name).string() : real.string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

std::string cluster_tag(const std::string& absolute_dir) { return short_hash(absolute_dir); }

std::string node_dir(const ClusterState& state, const std::string& node) {
  return state.dir + "/" + node;
}

std::string state_file(const std::string& dir) { return dir + "/" + kStateFile; }

std::string control_path_in(const ClusterState& state, const std::string& node) {
  std::string path = node_dir(state, node) + "/control.sock";
  return path.size() <= kMaxControlPath ? path : socket_dir(state.dir) + "/" + node + ".sock";
}

std::string socket_dir(const std::string& absolute_dir) {
  // Root has a place where nobody else can create it first.
  return ::geteuid() == 0 ? "/run/om-" + cluster_tag(absolute_dir)
                          : fmt::format("/tmp/om-{}-{}", ::geteuid(), cluster_tag(absolute_dir));
}

Result<void> save_cluster(const OwnDirectory& dir, const ClusterState& state) {
  Json nodes = Json::array();
  for (const ClusterNode& node : state.nodes) nodes.push_back(node_json(node));
  std::string text = to_json_line({{"made_dir", state.made_dir},
                                   {"switch_namespace", state.switch_namespace},
                                   {"nodes", nodes}});
  return dir.replace(kStateFile, text, 0644);
}

Result<ClusterState> load_cluster(const OwnDirectory& dir) {
  if (!dir.has(kStateFile)) return Error{ENOENT, "there is no cluster in " + dir.path()};
  Json value = OM_TRY(parse_json_line(OM_TRY(dir.read(kStateFile))));
  ClusterState state;
  state.dir = dir.path();
  state.made_dir = OM_TRY(json_bool(value, "made_dir"));
  const std::string tag = cluster_tag(state.dir);
  state.switch_namespace = OM_TRY(json_string(value, "switch_namespace", 64));
  if (!state.switch_namespace.empty() && state.switch_namespace != namespace_name(tag, "sw"))
    return plain_error("a namespace of another cluster");
  auto nodes = value.find("nodes");
  if (nodes == value.end() || !nodes->is_array())
    return plain_error(state_file(dir.path()) + ": no list of nodes");
  for (const Json& node : *nodes) state.nodes.push_back(OM_TRY(parse_node(node, tag)));
  return state;
}

Result<void> lock_cluster(const OwnDirectory& dir) {
  if (::flock(dir.fd(), LOCK_EX | LOCK_NB) != 0)
    return plain_error("another om cluster dev is at work in " + dir.path());
  return {};
}

}  // namespace om::cli

// SPDX-License-Identifier: Apache-2.0
#include "cli/cluster_state.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/json_line.h"
#include "common/names.h"
#include "common/proc/text.h"
#include "common/replace_file.h"

namespace om::cli {
namespace {

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

Result<ClusterNode> parse_node(const Json& value) {
  ClusterNode node;
  node.name = OM_TRY(json_string(value, "name", kMaxNodeName));
  if (!valid_node_name(node.name)) return plain_error("bad node name");
  node.address = OM_TRY(json_string(value, "address", 128));
  node.control = OM_TRY(json_string(value, "control", kMaxControlPath));
  node.namespace_name = OM_TRY(json_string(value, "namespace", 64));
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
  auto absolute = std::filesystem::weakly_canonical(std::filesystem::absolute(path, error), error);
  if (error) return Error{error.value(), path};
  std::string text = absolute.string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

std::string cluster_tag(const std::string& absolute_dir) {
  // FNV-1a, 32 bits.
  uint32_t hash = 2166136261u;
  for (char c : absolute_dir) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return fmt::format("{:08x}", hash);
}

std::string node_dir(const ClusterState& state, const std::string& node) {
  return state.dir + "/" + node;
}

std::string state_file(const std::string& dir) { return dir + "/cluster.json"; }

std::string control_path_in(ClusterState& state, const std::string& node) {
  std::string path = node_dir(state, node) + "/control.sock";
  if (path.size() <= kMaxControlPath) return path;
  state.socket_dir = fmt::format("/tmp/om-{}-{}", ::geteuid(), cluster_tag(state.dir));
  return state.socket_dir + "/" + node + ".sock";
}

Result<void> save_cluster(const ClusterState& state) {
  Json nodes = Json::array();
  for (const ClusterNode& node : state.nodes) nodes.push_back(node_json(node));
  std::string text = to_json_line({{"made_dir", state.made_dir},
                                   {"socket_dir", state.socket_dir},
                                   {"switch_namespace", state.switch_namespace},
                                   {"nodes", nodes}});
  return replace_file(state_file(state.dir), text, 0644);
}

Result<ClusterState> load_cluster(const std::string& absolute_dir) {
  std::string path = state_file(absolute_dir);
  if (::access(path.c_str(), F_OK) != 0)
    return Error{ENOENT, "there is no cluster in " + absolute_dir};
  Json value = OM_TRY(parse_json_line(OM_TRY(proc::read_text(path))));
  ClusterState state;
  state.dir = absolute_dir;
  state.made_dir = OM_TRY(json_bool(value, "made_dir"));
  state.socket_dir = OM_TRY(json_string(value, "socket_dir", kMaxControlPath));
  state.switch_namespace = OM_TRY(json_string(value, "switch_namespace", 64));
  auto nodes = value.find("nodes");
  if (nodes == value.end() || !nodes->is_array()) return plain_error(path + ": no list of nodes");
  for (const Json& node : *nodes) state.nodes.push_back(OM_TRY(parse_node(node)));
  return state;
}

Result<UniqueFd> lock_cluster(const std::string& dir) {
  UniqueFd fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return errno_error("open " + dir);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return plain_error("another om cluster dev is at work in " + dir);
  }
  return fd;
}

}  // namespace om::cli

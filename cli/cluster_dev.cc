// SPDX-License-Identifier: Apache-2.0
//
// om cluster dev start | stop | env: a cluster of several nodes on this machine, for demonstrations, tests
// and benchmarks. start returns when all nodes are up and see each other; stop leaves nothing behind.
#include <errno.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/client.h"
#include "cli/cluster_daemons.h"
#include "cli/cluster_identity.h"
#include "cli/cluster_netns.h"
#include "cli/cluster_state.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "common/base/names.h"
#include "common/base/own_directory.h"

namespace om::cli {
namespace {

constexpr int kMaxNodes = 64;
constexpr Milliseconds kMeetLimit{20000};
constexpr Milliseconds kRecallLimit{15000};
constexpr Milliseconds kEndPatience{5000};

int fail(const Error& error) { return report({ExitCode::kFailure, error.text()}); }

constexpr const char* kPeersFile = "peers";

Result<void> write_peers(const OwnDirectory& dir, const std::vector<ClusterNode>& nodes) {
  std::string text;
  for (const ClusterNode& node : nodes) text += fmt::format("{} {}\n", node.name, node.address);
  return dir.replace(kPeersFile, text, 0644);
}

bool needs_socket_dir(const ClusterState& state) {
  const std::string elsewhere = socket_dir(state.dir) + "/";
  return std::any_of(state.nodes.begin(), state.nodes.end(),
                     [&](const ClusterNode& node) { return node.control.starts_with(elsewhere); });
}

// How many nodes this one sees, including itself.
size_t nodes_up(const ClusterNode& node) {
  Answer answer = request(node.control, {{"verb", "nodes"}}, Milliseconds(5000));
  if (!answer.ok || !answer.data.is_array()) return 0;
  size_t up = 0;
  for (const Json& item : answer.data) {
    if (json_string_or(item, "state", 16, "").value_or("") == "up") ++up;
  }
  return up;
}

Result<void> wait_until_all_meet(const ClusterState& state) {
  MonotonicTime deadline = std::chrono::steady_clock::now() + kMeetLimit;
  for (const ClusterNode& node : state.nodes) {
    while (nodes_up(node) < state.nodes.size()) {
      if (std::chrono::steady_clock::now() > deadline) {
        return plain_error(fmt::format("node {} does not see all others after {} s; see {}/log",
                                       node.name, kMeetLimit.count() / 1000,
                                       node_dir(state, node.name)));
      }
      // Poll, as there is nothing to wait on: the peers dial each other within a second.
      std::this_thread::sleep_for(Milliseconds(20));
    }
  }
  return {};
}

// Start must not be interrupted between creating something and recording it.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigset_t set = held();
    ::sigprocmask(SIG_BLOCK, &set, &before_);
  }
  ~SignalsHeld() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  const sigset_t& before() const { return before_; }
  Result<void> check() const {
    sigset_t pending;
    ::sigpending(&pending);
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
      if (sigismember(&pending, signal) == 1) return Error{EINTR, "start"};
    }
    return {};
  }

 private:
  static sigset_t held() {
    sigset_t set;
    sigemptyset(&set);
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
    return set;
  }
  sigset_t before_;
};

Result<void> build(const OwnDirectory& dir, ClusterState& state, const ClusterArguments& arguments,
                   const SignalsHeld& signals) {
  std::string program = OM_TRY(find_program("om-migrator"));
  std::string tag = cluster_tag(state.dir);
  state.plain = arguments.plain;
  if (arguments.netns) state.switch_namespace = namespace_name(tag, "sw");
  for (int number = 1; number <= arguments.nodes; ++number) {
    ClusterNode node;
    node.name = fmt::format("n{}", number);
    node.address = arguments.netns ? namespace_address(number) : fmt::format("127.0.0.{}", number);
    node.control = control_path_in(state, node.name);
    if (arguments.netns) node.namespace_name = namespace_name(tag, node.name);
    state.nodes.push_back(std::move(node));
  }
  if (needs_socket_dir(state)) {
    // Before the cluster is recorded, so that stop never removes what somebody else has there.
    auto sockets = OwnDirectory::make(socket_dir(state.dir), 0755);
    if (!sockets) {
      state.nodes.clear();
      return sockets.error();
    }
  }
  OM_TRY(save_cluster(dir, state));
  if (arguments.netns) OM_TRY(make_switch(state.switch_namespace));
  // No node knows the others until all ports are known.
  OM_TRY(write_peers(dir, {}));
  const LocalCa ca = OM_TRY(LocalCa::make(dir));
  int number = 0;
  for (ClusterNode& node : state.nodes) {
    OM_TRY(signals.check());
    const OwnDirectory node_dir = OM_TRY(dir.make_inside(node.name, 0755));
    ++number;
    OM_TRY(ca.admit(node_dir, node.name, static_cast<uint32_t>(number)));
    if (arguments.netns)
      OM_TRY(make_node_namespace(node.namespace_name, state.switch_namespace, number));
    auto ready = start_daemon(dir, state, node, program, signals.before());
    if (!ready) return plain_error(fmt::format("node {}: {}", node.name, ready.error().text()));
    node.address = ready->address;
    OM_TRY(save_cluster(dir, state));
  }
  // Members find each other.
  if (state.plain) OM_TRY(write_peers(dir, state.nodes));
  for (const ClusterNode& node : state.nodes) {
    if (!state.plain) break;
    Answer answer = request(node.control, {{"verb", "peers.reload"}}, Milliseconds(5000));
    if (!answer.ok)
      return plain_error(fmt::format("node {}: {}", node.name, answer.failure.message));
  }
  OM_TRY(signals.check());
  return wait_until_all_meet(state);
}

// Brings home what is away: a process whose keeper ended would be lost.
void recall_all(const ClusterState& state) {
  for (const ClusterNode& node : state.nodes) {
    if (!node.daemon || !node.daemon->alive()) continue;
    Answer answer =
        request(node.control, {{"verb", "recall"}, {"timeout_ms", kRecallLimit.count()}},
                kRecallLimit + Milliseconds(2000));
    if (!answer.ok || !answer.data.contains("failed")) continue;
    for (const Json& item : answer.data["failed"]) {
      if (has_code(item, ReasonCode::kNoSuchProcess)) continue;  // it has ended
      complain(fmt::format("process {} could not be brought home: {}",
                           json_int_or(item, "pid", 0, INT32_MAX, 0).value_or(0),
                           json_string_or(item, "message", 4096, "").value_or("")));
    }
  }
}

Result<void> remove_socket_dir(const ClusterState& state) {
  const auto [parent, name] = split_path(socket_dir(state.dir));
  auto sockets = OwnDirectory::open(parent + "/" + name);
  if (!sockets && sockets.error().err == ENOENT) return {};
  if (!sockets) return sockets.error();
  for (const ClusterNode& node : state.nodes) {
    const std::string file = split_path(node.control).second;
    OM_TRY(sockets->remove(file));
    OM_TRY(sockets->remove(file + ".lock"));
  }
  if (::rmdir(sockets->path().c_str()) != 0) return errno_error("remove " + sockets->path());
  return {};
}

// Removes everything that start has made. Goes on after a failure and returns the last Error.
Result<void> tear_down(const OwnDirectory& dir, const ClusterState& state) {
  Result<void> result;
  recall_all(state);
  std::vector<ProcessId> daemons;
  for (const ClusterNode& node : state.nodes) {
    if (node.daemon) daemons.push_back(*node.daemon);
  }
  std::vector<ProcessId> left = end_processes(daemons, kEndPatience);
  // After the daemons, which could start more children.
  for (const ProcessId& process : end_processes(cluster_children(dir, state), kEndPatience))
    left.push_back(process);
  for (const ProcessId& process : left)
    result = plain_error(fmt::format("process {} does not end", process.pid));
  for (const ClusterNode& node : state.nodes) {
    if (node.namespace_name.empty()) continue;
    auto removed = remove_namespace(node.namespace_name);
    if (!removed) result = removed.error();
  }
  if (!state.switch_namespace.empty()) {
    auto removed = remove_namespace(state.switch_namespace);
    if (!removed) result = removed.error();
  }
  const auto note = [&result](Result<void> removed) {
    if (!removed) result = removed.error();
  };
  for (const ClusterNode& node : state.nodes) note(dir.remove(node.name));
  if (needs_socket_dir(state)) note(remove_socket_dir(state));
  for (const char* name : {kPeersFile, migrator::ClusterCa::kFileName}) {
    note(dir.remove(name));
    dir.remove_drafts(name);
  }
  const std::string state_name = split_path(state_file(state.dir)).second;
  dir.remove_drafts(state_name);
  // Last: as long as it exists, stop can be retried.
  if (result) note(dir.remove(state_name));
  if (result && state.made_dir) ::rmdir(state.dir.c_str());
  return result;
}

}  // namespace

int cluster_dev_start(const ClusterArguments& arguments) {
  if (arguments.nodes < 1 || arguments.nodes > kMaxNodes) {
    return report({ExitCode::kUsage, fmt::format("--nodes: 1 to {}", kMaxNodes)});
  }
  if (arguments.netns && ::geteuid() != 0) {
    return report({ExitCode::kPermission, ReasonCode::kPermission, "--netns needs root"});
  }
  auto dir = absolute_path(arguments.dir);
  if (!dir) return fail(dir.error());
  SignalsHeld signals;
  ClusterState state;
  state.dir = *dir;
  if (::mkdir(dir->c_str(), 0755) == 0) {
    state.made_dir = true;
  } else if (errno != EEXIST) {
    return fail(errno_error("create " + *dir));
  }
  auto own = OwnDirectory::open(*dir);
  if (!own) return fail(own.error());
  auto lock = lock_cluster(*own);
  if (!lock) return fail(lock.error());
  for (const auto& name : {std::string("cluster.json"), std::string("n1")}) {
    if (own->has(name)) {
      return fail(plain_error(
          fmt::format("{} holds a cluster already (or what is left of one): om cluster dev "
                      "stop --dir {}",
                      *dir, shell_quoted(*dir))));
    }
  }
  auto built = build(*own, state, arguments, signals);
  if (!built) {
    complain(built.error().text());
    auto cleared = tear_down(*own, state);
    if (!cleared) complain(cleared.error().text());
    return static_cast<int>(ExitCode::kFailure);
  }
  std::string text;
  for (const ClusterNode& node : state.nodes)
    text += fmt::format("{} {}\n", node.name, node.address);
  return print_text(text);
}

int cluster_dev_stop(const ClusterArguments& arguments) {
  auto dir = absolute_path(arguments.dir);
  if (!dir) return fail(dir.error());
  if (::access(state_file(*dir).c_str(), F_OK) != 0) {
    // Stopping twice is not an error.
    complain("there is no cluster in " + *dir);
    return 0;
  }
  auto own = OwnDirectory::open(*dir);
  if (!own) return fail(own.error());
  auto lock = lock_cluster(*own);
  if (!lock) return fail(lock.error());
  auto state = load_cluster(*own);
  if (!state) return fail(state.error());
  auto done = tear_down(*own, *state);
  return done ? 0 : fail(done.error());
}

int cluster_dev_env(const ClusterArguments& arguments) {
  auto dir = absolute_path(arguments.dir);
  if (!dir) return fail(dir.error());
  auto own = OwnDirectory::open(*dir);
  auto state = own ? load_cluster(*own) : Result<ClusterState>(own.error());
  if (!state)
    return fail(state.error().err == ENOENT ? plain_error(state.error().what) : state.error());
  auto library = find_preload_library();
  if (!library) return fail(library.error());
  for (const ClusterNode& node : state->nodes) {
    if (node.name != arguments.node) continue;
    return print_text(fmt::format("export OM_CONTROL={}\nexport OM_PRELOAD={}\nexport OM_NODE={}\n",
                                  shell_quoted(node.control), shell_quoted(*library),
                                  shell_quoted(node.name)));
  }
  return report({ExitCode::kNotFound, ReasonCode::kNoSuchNode,
                 fmt::format("there is no node {} in {}", arguments.node, *dir)});
}

}  // namespace om::cli

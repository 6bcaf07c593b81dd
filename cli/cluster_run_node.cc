// SPDX-License-Identifier: Apache-2.0
//
// om cluster run-node DIR: the far end of om cluster run, started by its script (run_facts.h) on each host. It reads
// one line from stdin, {"name", "listen", "token", "home", "home_node"}: its node's name and address, and with what to
// join the cluster through the node at home. It answers {"ready":true,"address"} or {"error"}, and stays until stdin
// ends, which it does with the connection, or a signal asks it to, or home has been down for a minute. Then guests go
// home, what does not is ended, and DIR is removed; the last line is {"gone":true}.
//
// om-migrator ends if this process is killed. The script, which waits for it, then removes DIR.
#include <errno.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/client.h"
#include "cli/doctor_probes.h"
#include "cli/output.h"
#include "cli/run_end.h"
#include "cli/verbs.h"
#include "common/base/names.h"
#include "common/net/address.h"

namespace om::cli {
namespace {

constexpr Milliseconds kConfigLimit{120'000};  // others may be slower to be filled
constexpr Milliseconds kJoinLimit{20'000};
constexpr Milliseconds kLook{2000};
// The connection may have been lost without a word; longer than guests wait.
constexpr std::chrono::seconds kHomeDown{60};

struct Config {
  std::string name, token, home, home_node;
  Address listen;
};

Result<Config> parse_config(const std::string& line) {
  const Json value = OM_TRY(parse_json_line(line));
  Config config;
  config.name = OM_TRY(json_string(value, "name", kMaxNodeName));
  config.home_node = OM_TRY(json_string(value, "home_node", kMaxNodeName));
  if (!valid_node_name(config.name) || !valid_node_name(config.home_node))
    return plain_error("bad node name");
  config.token = OM_TRY(json_string(value, "token", 256));
  config.home = OM_TRY(json_string(value, "home", 64));
  config.listen = OM_TRY(Address::parse(OM_TRY(json_string(value, "listen", 64))));
  return config;
}

class RunNode {
 public:
  RunNode(OwnDirectory dir, UniqueFd signals, const sigset_t& mask)
      : dir_(std::move(dir)), signals_(std::move(signals)), mask_(mask) {}

  // Returns when the node is ready. Errors: why it is not.
  Result<void> begin() {
    config_ = OM_TRY(parse_config(OM_TRY(read_config())));
    OM_TRY(check_machine_moves());
    run_.emplace(OM_TRY(dir_.inside("run")));
    const ReadyLine ready = OM_TRY(
        start_run_daemon(*run_, {config_.name, config_.listen.host(), control(), mask_}, daemon_));
    const Answer joined = request(
        control(), {{"verb", "cluster.join"}, {"token", config_.token}, {"address", config_.home}},
        kJoinLimit);
    if (!joined.ok) return plain_error(joined.failure.message);
    say({{"ready", true}, {"address", ready.address}});
    return {};
  }

  // Returns when it is to end.
  void stay() {
    MonotonicTime heard = std::chrono::steady_clock::now();
    while (!asked_to_end(kLook)) {
      const MonotonicTime now = std::chrono::steady_clock::now();
      if (!daemon_->alive()) return say({{"error", "its om-migrator has ended"}});
      if (home_is_up()) heard = now;
      if (now - heard > kHomeDown) return;
    }
  }

  void end() {
    if (daemon_ && run_) end_run_daemon(*daemon_, *run_);
    const Result<void> removed = remove_run_directory(dir_);
    if (!removed) return say({{"error", removed.error().text()}});
    say({{"gone", true}});
  }

  static void say(const Json& line) {
    const std::string text = to_json_line(line);
    // Nobody may be there any more.
    if (::write(STDOUT_FILENO, text.data(), text.size()) < 0) return;
  }

 private:
  std::string control() const { return dir_.path() + "/run/control.sock"; }

  // Whether stdin has ended or a signal has come; waits for that.
  bool asked_to_end(Milliseconds limit) const {
    std::array<pollfd, 2> items{{{STDIN_FILENO, POLLIN, 0}, {signals_.get(), POLLIN, 0}}};
    if (::poll(items.data(), items.size(), static_cast<int>(limit.count())) <= 0) return false;
    if (items[1].revents != 0) return true;
    std::array<char, 256> buffer;
    return items[0].revents != 0 && ::read(STDIN_FILENO, buffer.data(), buffer.size()) <= 0;
  }

  Result<std::string> read_config() const {
    LineSplitter lines(kMaxRequestBytes);
    const MonotonicTime deadline = std::chrono::steady_clock::now() + kConfigLimit;
    while (!lines.has_line()) {
      const auto left = static_cast<int>(left_until(deadline).count());
      std::array<pollfd, 2> items{{{STDIN_FILENO, POLLIN, 0}, {signals_.get(), POLLIN, 0}}};
      const int ready = left == 0 ? 0 : ::poll(items.data(), items.size(), left);
      std::array<char, 4096> buffer;
      const ssize_t n = ready <= 0 || items[0].revents == 0
                            ? 0
                            : ::read(STDIN_FILENO, buffer.data(), buffer.size());
      if (n <= 0) return plain_error("it was not told what to do");
      OM_TRY(lines.push({buffer.data(), static_cast<size_t>(n)}));
    }
    return lines.pop();
  }

  static Result<void> check_machine_moves() {
    if (const int error = probe_tracing(); error != 0)
      return plain_error(
          fmt::format("no process can be traced there (ptrace): {}", ::strerror(error)));
    if (const int error = probe_filter(); error != 0)
      return plain_error(fmt::format("it has no seccomp filters: {}", ::strerror(error)));
    if (const int error = probe_registers(); error != 0)
      return plain_error(fmt::format("a program cannot use XSAVE there: {}", ::strerror(error)));
    return {};
  }

  bool home_is_up() const {
    const Answer answer = request(control(), {{"verb", "nodes"}}, Milliseconds(5000));
    if (!answer.ok || !answer.data.is_array()) return false;
    for (const Json& item : answer.data) {
      if (text_of(item, "name") == config_.home_node) return text_of(item, "state") == "up";
    }
    return false;
  }

  OwnDirectory dir_;
  UniqueFd signals_;
  const sigset_t mask_;
  Config config_;
  std::optional<OwnDirectory> run_;
  std::optional<ProcessId> daemon_;
};

}  // namespace

int cluster_run_node(const std::string& directory) {
  auto dir = OwnDirectory::open(directory);
  if (!dir) {
    RunNode::say({{"error", dir.error().text()}});
    return static_cast<int>(ExitCode::kFailure);
  }
  sigset_t ending, before;
  sigemptyset(&ending);
  for (const int signal : {SIGHUP, SIGINT, SIGTERM}) sigaddset(&ending, signal);
  ::sigprocmask(SIG_BLOCK, &ending, &before);
  ::signal(SIGPIPE, SIG_IGN);
  RunNode node(std::move(*dir), UniqueFd(::signalfd(-1, &ending, SFD_CLOEXEC)), before);
  const auto begun = node.begin();
  if (begun) {
    node.stay();
  } else {
    RunNode::say({{"error", begun.error().text()}});
  }
  node.end();
  return begun ? 0 : static_cast<int>(ExitCode::kFailure);
}

}  // namespace om::cli

// SPDX-License-Identifier: Apache-2.0
#include "cli/run_cluster.h"

#include <errno.h>
#include <fmt/core.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/run_end.h"

namespace om::cli {
namespace {

constexpr int kTokenLife_s = 600;  // of the start only
constexpr Milliseconds kMeetLimit{15'000};
constexpr Milliseconds kLook{1000};
constexpr const char* kLoopback = "127.0.0.1";

// A new directory, 0700, whose path leaves room for the control socket.
Result<OwnDirectory> make_directory() {
  constexpr size_t kMostBytes = 70;
  for (const char* variable : {"XDG_RUNTIME_DIR", "TMPDIR", ""}) {
    const char* base = *variable == '\0' ? "/tmp" : ::getenv(variable);
    std::string path = fmt::format("{}/om-run.XXXXXX", base == nullptr ? "" : base);
    if (base == nullptr || *base != '/' || path.size() > kMostBytes) continue;
    if (::mkdtemp(path.data()) != nullptr) return OwnDirectory::open(path);
  }
  return errno_error("make a directory in $XDG_RUNTIME_DIR, $TMPDIR or /tmp");
}

// Our address on the way to another one.
Result<Address> address_towards(Address other) {
  constexpr uint16_t kAnyPort = 9;  // nothing is sent
  other.set_port(kAnyPort);
  UniqueFd socket(::socket(other.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  if (!socket || ::connect(socket.get(), other.raw(), other.raw_size()) != 0 ||
      ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0)
    return errno_error("there is no way to " + other.host());
  return Address::from_sockaddr(own);
}

// Which nodes the daemon sees up.
std::set<std::string> nodes_up(const std::string& control) {
  std::set<std::string> names;
  const Answer answer = request(control, {{"verb", "nodes"}}, Milliseconds(5000));
  if (!answer.ok || !answer.data.is_array()) return names;
  for (const Json& item : answer.data) {
    if (text_of(item, "state") == "up") names.insert(text_of(item, "name"));
  }
  return names;
}

// What could not come home is ended: its keeper's host is out of reach.
void end_lost(const Answer& drained) {
  if (!drained.data.is_object() || !drained.data.contains("failed")) return;
  std::vector<ProcessId> lost;
  for (const Json& item : drained.data["failed"]) {
    const auto pid = json_int_or(item, "pid", 1, INT32_MAX, 0);
    const auto process = pid && *pid > 0 ? ProcessId::of(static_cast<pid_t>(*pid))
                                         : Result<ProcessId>(Error{ESRCH, ""});
    if (!process || has_code(item, ReasonCode::kNoSuchProcess)) continue;
    complain(fmt::format("process {} could not come home and is ended: {}", process->pid,
                         text_of(item, "message")));
    lost.push_back(*process);
  }
  end_processes(lost, Milliseconds(0));
}

}  // namespace

RunCluster::RunCluster(std::vector<RunHost> hosts, std::string own_node, UniqueFd life,
                       const sigset_t& mask)
    : own_node_(std::move(own_node)), life_(std::move(life)), mask_(mask) {
  for (RunHost& host : hosts) sites_.emplace_back(std::move(host));
}

template <class Work>
Result<void> RunCluster::for_all(Work work) {
  std::vector<Result<void>> results(sites_.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < sites_.size(); ++i)
    threads.emplace_back([&, i] {
      results[i] = work(sites_[i]);
      if (!results[i]) static_cast<void>(sites_[i].end());
    });
  for (std::thread& thread : threads) thread.join();
  if (life_ended(Milliseconds(0))) return Error{EINTR, "start"};
  std::vector<RunSite> left;
  for (size_t i = 0; i < sites_.size(); ++i) {
    if (results[i]) {
      left.push_back(std::move(sites_[i]));
    } else {
      complain(fmt::format("{} is left out: {}", sites_[i].host().name, results[i].error().text()));
    }
  }
  sites_ = std::move(left);
  return {};
}

Result<void> RunCluster::build() {
  dir_.emplace(OM_TRY(make_directory()));
  run_.emplace(OM_TRY(dir_->make_inside("run", 0700)));
  if (!sites_.empty()) {
    const Programs programs = OM_TRY(read_programs());
    OM_TRY(for_all([&](RunSite& site) { return site.prepare(programs, life_.get()); }));
  }
  const std::string listen = OM_TRY(own_address());
  const std::string home = OM_TRY(start_home(listen));
  if (!sites_.empty()) {
    const std::string ticket = OM_TRY(token());
    OM_TRY(for_all([&](RunSite& site) {
      const RunSite::Place& place = site.place();
      return site.join({place.here ? listen : place.address.host(), ticket, home, own_node_});
    }));
    OM_TRY(wait_until_all_up());
  }
  if (sites_.empty()) complain("no host is left: the command runs here");
  return {};
}

// Where the node at home listens: on the way to the first host that is elsewhere.
Result<std::string> RunCluster::own_address() {
  OM_TRY(for_all([&](RunSite& site) { return site.find_place(); }));
  for (const RunSite& site : sites_) {
    if (site.place().here) continue;
    const auto own = address_towards(site.place().address);
    if (own) return own->host();
  }
  return std::string(kLoopback);
}

Result<std::string> RunCluster::start_home(const std::string& listen) {
  RunDaemon run{own_node_, listen, control(), mask_};
  // The user has named the hosts, and reaches them as this user.
  if (::geteuid() == 0) run.more.emplace_back("--root-may-leave");
  const ReadyLine ready = OM_TRY(start_run_daemon(*run_, run, daemon_));
  return ready.address;
}

Result<std::string> RunCluster::token() {
  const Answer made = request(control(), {{"verb", "cluster.init"},
                                          {"name", "run"},
                                          {"ttl_s", kTokenLife_s},
                                          {"uses", sites_.size()}});
  if (!made.ok) return plain_error(made.failure.message);
  return json_string(made.data, "token", 256);
}

Result<void> RunCluster::wait_until_all_up() {
  const MonotonicTime deadline = std::chrono::steady_clock::now() + kMeetLimit;
  std::set<std::string> up;
  const auto sees = [&](const RunSite& site) { return up.contains(site.host().node); };
  do {
    up = nodes_up(control());
    if (std::all_of(sites_.begin(), sites_.end(), sees)) return {};
    // Poll, as there is nothing to wait on: the nodes dial each other within a second.
  } while (!life_ended(Milliseconds(20)) && std::chrono::steady_clock::now() < deadline);
  return for_all([&](RunSite& site) -> Result<void> {
    if (sees(site)) return {};
    return plain_error(fmt::format("its node at {} cannot be reached", site.address()));
  });
}

bool RunCluster::life_ended(Milliseconds limit) const {
  pollfd item{life_.get(), POLLIN, 0};
  return ::poll(&item, 1, static_cast<int>(limit.count())) > 0;
}

void RunCluster::watch() {
  bool told = false;
  for (;;) {
    std::vector<pollfd> items{{life_.get(), POLLIN, 0}};
    for (const RunSite& site : sites_) items.push_back({site.output(), POLLIN, 0});
    ::poll(items.data(), items.size(), static_cast<int>(kLook.count()));
    if (items.front().revents != 0) return;
    for (auto site = sites_.begin(); site != sites_.end();) {
      if (site->look()) {
        ++site;
        continue;
      }
      complain(fmt::format("{} has gone: {}", site->host().name, site->last_words()));
      site = sites_.erase(site);
    }
    if (!told && !daemon_->alive()) {
      told = true;
      complain("the om-migrator of this machine has ended: nothing moves any more");
    }
  }
}

void RunCluster::end() {
  if (daemon_ && daemon_->alive()) {
    end_lost(request(control(), {{"verb", "node.drain"}, {"timeout_ms", kRunDrainLimit.count()}},
                     kRunDrainLimit + Milliseconds(5000)));
  }
  std::vector<std::thread> threads;
  for (RunSite& site : sites_) {
    threads.emplace_back([&site] {
      if (const auto ended = site.end(); !ended)
        complain(fmt::format("{}: whether everything has ended there is not known: {}",
                             site.host().name, ended.error().text()));
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (daemon_) end_run_daemon(*daemon_, *run_);
  if (!dir_) return;
  if (const auto removed = remove_run_directory(*dir_); !removed) complain(removed.error().text());
}

}  // namespace om::cli

// SPDX-License-Identifier: Apache-2.0
#include "migrator/moves/deputies.h"

#include <stdlib.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "common/base/log.h"
#include "common/base/names.h"
#include "common/net/address.h"
#include "common/net/control.h"
#include "common/proc/process.h"
#include "common/proc/stat.h"

namespace om::migrator {
namespace {

constexpr int kMaxTakeovers = 7;
// Before the first attempt; doubled for each further one, and for each deputy that died early.
constexpr Milliseconds kTakeoverPause{30};
constexpr int kMaxDoublings = 7;
constexpr Milliseconds kLostPause{
    10000};  // once it has been reported lost; what made takeovers fail may pass
constexpr std::chrono::seconds kLongLife{30};

}  // namespace

std::vector<std::string> child_environment(const std::vector<std::string>& more) {
  std::vector<std::string> result = more;
  for (const char* name :
       {"PATH", "HOME", "LANG", "TMPDIR", "XDG_RUNTIME_DIR", "OM_LOG", "OM_FAULT", "OM_LIBEXEC",
        "OM_PRELOAD", "OM_SESSION_TIMEOUT_S", "OM_LAZY_SHARED", "OM_TEST_CPUS",
        // Where om cluster run has copied the programs, their libraries are as well.
        "LD_LIBRARY_PATH",
        // Reports of instrumented builds.
        "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
    const char* value = ::getenv(name);
    if (value != nullptr) result.push_back(std::string(name) + "=" + value);
  }
  return result;
}

Deputies::Deputies(UvKj& kj, Settings settings, ChildList& children, const AttachKey& key,
                   Events& events)
    : kj_(kj),
      loop_(kj.loop()),
      settings_(std::move(settings)),
      children_(children),
      key_(key),
      events_(events) {}

Deputies::Entry* Deputies::entry_of(const ProcessId& process) {
  auto it = entries_.find(process.pid);
  return it != entries_.end() && it->second.process == process ? &it->second : nullptr;
}

const Deputies::Entry* Deputies::entry_of(const ProcessId& process) const {
  auto it = entries_.find(process.pid);
  return it != entries_.end() && it->second.process == process ? &it->second : nullptr;
}

DeputyLink* Deputies::find(pid_t pid) {
  auto it = entries_.find(pid);
  const bool none = it == entries_.end() || it->second.closed || it->second.starting;
  return none ? nullptr : it->second.link.get();
}

DeputyLink::Handlers Deputies::link_handlers(pid_t pid) {
  DeputyLink::Handlers handlers;
  handlers.on_need_guest = [this, pid](const std::string& to, Offer offer,
                                       DeputyLink::GuestAnswer answer) {
    Entry& entry = entries_.at(pid);
    entry.session = DeputySession{to, offer.session, offer.secret, offer.home.port()};
    children_.set_session(entry.deputy, entry.session, true);
    // Record it first: from the answer on the process may leave, and this daemon and the deputy may die together.
    children_.when_written([this, pid, to, offer = std::move(offer), answer = std::move(answer)] {
      handlers_.on_need_guest(pid, to, offer, answer);
    });
  };
  handlers.on_state = [this, pid] {
    Entry& entry = entries_.at(pid);
    DeputyLink::State state = entry.link->state();
    bool arrived = state != DeputyLink::State::kMoving && state != entry.last_state;
    entry.next.attempts = 0;
    entry.silent = false;
    entry.last_state = state;
    if (state == DeputyLink::State::kHome) entry.session.reset();
    if (state == DeputyLink::State::kMoving) {
      children_.set_session(entry.deputy, entry.session, true);
    } else {
      children_.set_place(entry.deputy, state == DeputyLink::State::kAway ? entry.link->at() : "",
                          entry.session);
    }
    log_debug("deputy", "process {} is {} at {}", pid, state_name(state), entry.link->at());
    if (arrived && state == DeputyLink::State::kHome) {
      const auto now = read_process(pid);
      const auto main = proc::read_stat(proc::memory_tid(pid));
      if (now && now->id == entry.process && main && !main->is_ending()) {
        note(entry, "home", entry.link->at(), std::nullopt, "runs at home");
      } else {
        note(entry, "ended", entry.link->at(), std::nullopt, "the process has ended");
      }
    }
  };
  handlers.on_note = [this, pid](ReasonCode code, const std::string& message) {
    const Entry& entry = entries_.at(pid);
    note(entry, "note", entry.link->at(), code, message);
  };
  handlers.on_session = [this, pid](DeputySession session) {
    Entry& entry = entries_.at(pid);
    entry.session = std::move(session);
    children_.set_session(entry.deputy, entry.session,
                          entry.link->state() == DeputyLink::State::kMoving);
  };
  handlers.on_closed = [this, pid](std::optional<Error> error) {
    on_closed(pid, std::move(error));
  };
  return handlers;
}

void Deputies::note(const Entry& entry, std::string kind, std::string node,
                    std::optional<ReasonCode> code, std::string message) {
  events_.add({std::move(kind), entry.process.pid, std::move(node), code, std::move(message),
               user_owner(entry.uid)});
}

void Deputies::ensure(const ProcessInfo& process, Ready ready) {
  pid_t pid = process.id.pid;
  Entry* present = entry_of(process.id);
  if (present != nullptr && present->starting) return present->waiting.push_back(std::move(ready));
  if (present != nullptr && !present->closed) return ready(present->link.get());
  if (present != nullptr && (present->child || present->next.pause)) {
    return ready(
        Error{EAGAIN, fmt::format("the last deputy of process {} has not ended yet", pid)});
  }
  Entry entry;
  entry.process = process.id;
  entry.uid = process.uid;
  auto begun = spawn(entry, process, settings_.listen_host, ready);
  if (!begun) return ready(begun.error());
  entries_.insert_or_assign(pid, std::move(entry));
}

Result<void> Deputies::spawn(Entry& entry, const ProcessInfo& process, const std::string& listen,
                             Ready ready) {
  pid_t pid = process.id.pid;
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    return errno_error("socketpair");
  }
  UniqueFd ours(pair[0]);
  auto theirs = std::make_shared<UniqueFd>(pair[1]);
  ChildSpec spec;
  spec.program = OM_TRY(find_program("om-deputy"));
  spec.arguments = {"--pid",    std::to_string(pid),
                    "--start",  std::to_string(process.id.start_ticks),
                    "--node",   settings_.node,
                    "--listen", listen,
                    "--wire",   settings_.plain ? "plain" : "sealed"};
  if (!settings_.ports.is_any()) {
    spec.arguments.push_back("--ports");
    spec.arguments.push_back(settings_.ports.text());
    // Each is needed by the deputy that takes over its session.
    std::string others;
    for (const auto& [other, its] : entries_) {
      if (other != pid && its.session && (its.closed || !its.link))
        others += (others.empty() ? "" : ",") + std::to_string(its.session->port);
    }
    if (!others.empty()) spec.arguments.insert(spec.arguments.end(), {"--not-ports", others});
  }
  spec.environment =
      child_environment({"OM_CONTROL=" + settings_.control_path,
                         std::string(kAttachVariable) + "=" + key_.secret_of(process.id)});
  spec.descriptors = {-1, 2, 2, theirs->get()};
  spec.held = {theirs};
  if (settings_.change_user) spec.owner = {process.uid, process.gid};
  entry.starting = true;
  entry.waiting.clear();
  entry.waiting.push_back(std::move(ready));
  entry.closed = false;
  entry.exit.how.clear();
  entry.link =
      std::make_unique<DeputyLink>(kj_, std::move(ours), settings_.node, link_handlers(pid));
  entry.child = std::make_unique<Child>(
      loop_, std::move(spec),
      [this, pid](Result<pid_t> deputy) { on_started(pid, std::move(deputy)); },
      [this, pid](int64_t code, int signal) { on_exit(pid, code, signal); });
  return {};
}

void Deputies::on_started(pid_t pid, Result<pid_t> deputy) {
  Entry& entry = entries_.at(pid);
  entry.starting = false;
  std::vector<Ready> waiting = std::exchange(entry.waiting, {});
  if (!deputy) {
    const Error error = deputy.error();
    if (entry.session) {
      gone(pid, false, error.text());
    } else {
      // The process is at home, so nothing has happened. The error tells the waiting requests more than gone() would.
      entries_.erase(pid);
    }
    for (const Ready& ready : waiting) ready(error);
    return;
  }
  // Not reaped yet, so the pid is still its own. The deputy may already have sent something.
  const ProcessId before = entry.deputy;
  entry.deputy = ProcessId::of(*deputy).value_or(ProcessId{*deputy, 0});
  const DeputyLink::State state = entry.link->state();
  ChildList::Entry item{"deputy",
                        pid,
                        "",
                        entry.process.start_ticks,
                        entry.session,
                        state == DeputyLink::State::kMoving};
  if (state == DeputyLink::State::kAway) item.at = entry.link->at();
  children_.add(entry.deputy, std::move(item));
  entry.started = std::chrono::steady_clock::now();
  if (before.pid != 0) children_.remove(before);
  for (const Ready& ready : waiting) ready(entry.link.get());
}

bool Deputies::attach(const ProcessInfo& process, pid_t deputy_pid, const std::string& secret,
                      JsonStream& stream) {
  pid_t pid = process.id.pid;
  if (!key_.proves(process.id, secret)) return false;
  Entry* present = entry_of(process.id);
  if (present != nullptr && !present->closed) return false;
  // Our own deputy may come back after its connection broke; any other must wait until ours has ended.
  if (present != nullptr && present->child && present->deputy.pid != deputy_pid) return false;
  auto deputy = ProcessId::of(deputy_pid);
  if (!deputy) return false;
  UniqueFd socket = stream.take_socket();
  if (!socket) return false;
  // The last JSON line on this connection. If it cannot be sent, we soon see the connection end.
  const std::string accepted = to_json_line(ok_answer(nullptr));
  static_cast<void>(
      ::send(socket.get(), accepted.data(), accepted.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
  Entry entry;
  entry.process = process.id;
  entry.uid = process.uid;
  entry.deputy = *deputy;
  if (present != nullptr) entry.child = std::move(present->child);
  entry.link =
      std::make_unique<DeputyLink>(kj_, std::move(socket), settings_.node, link_handlers(pid));
  // An earlier daemon's record holds until the deputy reports where the process is.
  if (std::string before = at(process.id); before != settings_.node) {
    entry.link->set_place(before, DeputyLink::State::kAway);
    entry.last_state = DeputyLink::State::kAway;
  }
  entry.silent = true;
  if (children_.entries().count(entry.deputy) == 0)
    children_.add(entry.deputy, {"deputy", pid, "", process.id.start_ticks, {}, false});
  entries_.insert_or_assign(pid, std::move(entry));
  return true;
}

// Daemon and deputy died together: the daemon's record is enough for another deputy.
void Deputies::recover() {
  std::vector<std::pair<ProcessId, ChildList::Entry>> orphans;
  for (auto& item : children_.entries()) {
    if (item.second.role == "deputy" && item.second.session && !item.first.alive())
      orphans.push_back(item);
  }
  for (auto& [deputy, of] : orphans) {
    const ProcessId process{of.about, of.about_start};
    std::array<int, 2> pair{};
    if (entry_of(process) != nullptr || !process.alive() ||
        ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0)
      continue;
    // A connection whose other end is gone: from here on it is as if the deputy had died while we were running.
    UniqueFd ours(pair[0]), theirs(pair[1]);
    Entry entry;
    entry.process = process;
    if (auto info = read_process(process.pid)) entry.uid = info->uid;
    entry.deputy = deputy;
    entry.session = of.session;
    entry.last_state = of.moving ? DeputyLink::State::kMoving : DeputyLink::State::kAway;
    entry.link = std::make_unique<DeputyLink>(kj_, std::move(ours), settings_.node,
                                              link_handlers(process.pid));
    entry.link->set_place(of.session->at, entry.last_state);
    entries_.insert_or_assign(process.pid, std::move(entry));
  }
}

// A child is gone when both its socket and its exit status have been read, in either order: the last messages in the
// socket may hold the result of a migration.
void Deputies::on_closed(pid_t pid, std::optional<Error> error) {
  auto it = entries_.find(pid);
  if (it == entries_.end()) return;
  Entry& entry = it->second;
  if (entry.closed) return;  // gone() came first
  entry.closed = true;
  if (error) {
    log_warn("deputy", "connection to the deputy of process {}: {}", pid, error->text());
    // A deputy that broke the protocol still listens: it should notice, and come back.
    entry.link->hang_up();
  }
  if (!entry.child) {
    gone(pid, entry.last_state == DeputyLink::State::kHome, "its connection has ended");
  } else if (!entry.exit.how.empty()) {
    gone(pid, entry.exit.clean, entry.exit.how);
  }
}

void Deputies::on_exit(pid_t pid, int64_t code, int signal) {
  auto it = entries_.find(pid);
  if (it == entries_.end()) return;
  Entry& entry = it->second;
  entry.exit.clean = code == 0 && signal == 0;
  entry.exit.how = signal != 0 ? fmt::format("it was killed by signal {}", signal)
                               : fmt::format("it ended with status {}", code);
  if (entry.closed) return gone(pid, entry.exit.clean, entry.exit.how);
  // A process that inherited the socket from the deputy must not keep us waiting.
  entry.exit.patience = std::make_unique<Timer>(loop_);
  entry.exit.patience->start(Milliseconds(1000), [this, pid] {
    const Entry& late = entries_.at(pid);
    gone(pid, late.exit.clean, late.exit.how);
  });
}

void Deputies::gone(pid_t pid, bool clean, std::string how) {
  Entry& entry = entries_.at(pid);
  entry.child.reset();
  entry.exit.patience.reset();
  entry.closed = true;
  // A process that is departing but has not asked for a guest yet has not changed.
  const bool was_home = entry.last_state == DeputyLink::State::kHome ||
                        (entry.last_state == DeputyLink::State::kMoving && !entry.session);
  auto note_lost = [&] {
    entry.last_state = DeputyLink::State::kLost;
    entry.link->set_lost();
    note(entry, "lost", entry.link->at(), ReasonCode::kDeputyLost,
         fmt::format("the deputy has gone while the process was at {}: {}", entry.link->at(), how));
  };
  if (!clean && !was_home && entry.session && entry.process.alive()) {
    if (entry.next.attempts < kMaxTakeovers) {
      note(entry, "adopt", entry.session->at, std::nullopt,
           fmt::format("its deputy has gone ({}), another one takes over", how));
    } else if (entry.last_state != DeputyLink::State::kLost) {
      note_lost();
    } else {
      entry.link->set_lost();
    }
    const bool lived = entry.started != MonotonicTime{} &&
                       std::chrono::steady_clock::now() - entry.started >= kLongLife;
    entry.next.short_lives = lived ? 0 : entry.next.short_lives + 1;
    take_over_later(pid);
    return handlers_.on_gone(pid, clean);
  }
  children_.remove(entry.deputy);
  if (clean || was_home) {
    if (!clean)
      note(entry, "failed", "", ReasonCode::kDeputyLost, "the deputy failed at home: " + how);
    entries_.erase(pid);
  } else {
    note_lost();
  }
  handlers_.on_gone(pid, clean);
}

// Waits longer the more often takeovers have failed. A deputy that has reported where the process is has not failed,
// but may die of what it finds there, again and again.
void Deputies::take_over_later(pid_t pid) {
  Entry& entry = entries_.at(pid);
  entry.next.pause = std::make_unique<Timer>(loop_);
  const int doublings =
      std::clamp(std::max(entry.next.attempts, entry.next.short_lives - 1), 0, kMaxDoublings);
  const bool lost = entry.last_state == DeputyLink::State::kLost;
  entry.next.pause->start(lost ? kLostPause : kTakeoverPause * (1 << doublings),
                          [this, pid] { start_takeover(pid); });
}

void Deputies::start_takeover(pid_t pid) {
  Entry& entry = entries_.at(pid);
  std::unique_ptr<Timer> done = std::move(entry.next.pause);
  ++entry.next.attempts;
  if (!entry.process.alive()) return gone(pid, true, "");
  // A deputy of an earlier daemon may still exist after its connection has ended: it comes back, or it exits.
  if (entry.deputy.alive()) {
    if (entry.next.attempts < kMaxTakeovers) return take_over_later(pid);
    return gone(pid, false, "it does not talk to us any more");
  }
  auto process = read_process(pid);
  auto listen = Address::parse(settings_.listen_host);
  Result<void> started = !process  ? Result<void>(process.error())
                         : !listen ? Result<void>(listen.error())
                                   : Result<void>();
  const bool moving = entry.last_state == DeputyLink::State::kMoving;
  if (started) {
    listen->set_port(entry.session->port);
    started = spawn(entry, *process, listen->text(), [](Result<DeputyLink*>) {});
  }
  if (!started) return gone(pid, false, started.error().text());
  entry.link->take_over(*entry.session, moving);
  if (entry.last_state == DeputyLink::State::kLost) entry.link->set_lost();
}

bool Deputies::ending(const ProcessId& process) const {
  const Entry* entry = entry_of(process);
  return entry != nullptr && entry->closed && entry->child != nullptr;
}

bool Deputies::detached(const ProcessId& process) const {
  const Entry* entry = entry_of(process);
  const bool lost = entry != nullptr && entry->last_state == DeputyLink::State::kLost;
  return entry != nullptr ? entry->silent || (entry->next.pause != nullptr && !lost)
                          : children_.deputy_of(process.pid) != nullptr;
}

std::string Deputies::at(const ProcessId& process) const {
  if (const Entry* entry = entry_of(process)) return entry->link->at();
  auto* earlier = children_.deputy_of(process.pid);
  return earlier == nullptr || earlier->second.at.empty() ? settings_.node : earlier->second.at;
}

DeputyLink::State Deputies::state(const ProcessId& process) const {
  if (const Entry* entry = entry_of(process)) return entry->link->state();
  return at(process) == settings_.node ? DeputyLink::State::kHome : DeputyLink::State::kAway;
}

std::optional<DeputyStats> Deputies::stats(const ProcessId& process) const {
  const Entry* entry = entry_of(process);
  return entry == nullptr ? std::nullopt : entry->link->stats();
}

std::chrono::steady_clock::duration Deputies::silence(const ProcessId& process) const {
  const Entry* entry = entry_of(process);
  return entry == nullptr || entry->silent ? std::chrono::steady_clock::duration{}
                                           : entry->link->silence();
}

std::optional<pid_t> Deputies::stopped_deputy(const ProcessId& process) const {
  const Entry* entry = entry_of(process);
  if (entry == nullptr || entry->deputy.pid <= 0) return std::nullopt;
  const auto stat = proc::read_stat(entry->deputy.pid);
  if (!stat || (stat->state != 'T' && stat->state != 't')) return std::nullopt;
  return entry->deputy.pid;
}

std::vector<ProcessId> Deputies::processes() const {
  std::vector<ProcessId> result;
  for (auto& [pid, entry] : entries_) result.push_back(entry.process);
  return result;
}

void Deputies::prune() {
  for (auto it = entries_.begin(); it != entries_.end();) {
    bool over = it->second.closed && !it->second.child && !it->second.next.pause &&
                !it->second.process.alive();
    it = over ? entries_.erase(it) : std::next(it);
  }
}

}  // namespace om::migrator

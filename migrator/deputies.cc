// SPDX-License-Identifier: Apache-2.0
#include "migrator/deputies.h"

#include <stdlib.h>
#include <sys/socket.h>

#include <array>

#include "common/log.h"
#include "common/names.h"

namespace om::migrator {

std::vector<std::string> child_environment(const std::vector<std::string>& more) {
  std::vector<std::string> result = more;
  for (const char* name : {"PATH", "HOME", "LANG", "TMPDIR", "XDG_RUNTIME_DIR", "OM_LOG", "OM_FAULT",
                           "OM_STOP_AT", "OM_LIBEXEC", "OM_PRELOAD"}) {
    const char* value = ::getenv(name);
    if (value != nullptr) result.push_back(std::string(name) + "=" + value);
  }
  return result;
}

Deputies::Deputies(Loop& loop, Settings settings, ChildList& children, Events& events)
    : loop_(loop), settings_(std::move(settings)), children_(children), events_(events) {}

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
  return it == entries_.end() || it->second.closed ? nullptr : it->second.link.get();
}

DeputyLink::Handlers Deputies::link_handlers(pid_t pid) {
  DeputyLink::Handlers handlers;
  handlers.on_need_guest = [this, pid](int64_t id, const std::string& to, Offer offer) {
    handlers_.on_need_guest(pid, id, to, std::move(offer));
  };
  handlers.on_state = [this, pid] {
    Entry& entry = entries_.at(pid);
    DeputyLink::State state = entry.link->state();
    bool arrived = state != DeputyLink::State::kMoving && state != entry.last_state;
    entry.last_state = state;
    if (arrived) children_.set_at(entry.deputy, state == DeputyLink::State::kAway ? entry.link->at() : "");
    log_debug("deputy", "process {} is {} at {}", pid, state_name(state), entry.link->at());
    if (arrived && state == DeputyLink::State::kHome) {
      events_.add({"home", pid, entry.link->at(), "", "runs at home"});
    }
  };
  handlers.on_note = [this, pid](const std::string& code, const std::string& message) {
    events_.add({"note", pid, entries_.at(pid).link->at(), code, message});
  };
  handlers.on_closed = [this, pid](std::optional<Error> error) { on_closed(pid, std::move(error)); };
  return handlers;
}

Result<DeputyLink*> Deputies::ensure(const ProcessInfo& process) {
  pid_t pid = process.id.pid;
  Entry* present = entry_of(process.id);
  if (present != nullptr && !present->closed) return present->link.get();
  if (present != nullptr && present->child) {
    return Error{EAGAIN, fmt::format("the last deputy of process {} has not ended yet", pid)};
  }
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    return errno_error("socketpair");
  }
  UniqueFd ours(pair[0]);
  UniqueFd theirs(pair[1]);
  ChildSpec spec;
  spec.program = OM_TRY(find_program("om-deputy"));
  spec.arguments = {"--pid", std::to_string(pid), "--node", settings_.node, "--listen", settings_.listen_host};
  spec.environment = child_environment({"OM_CONTROL=" + settings_.control_path});
  spec.descriptors = {-1, 2, 2, theirs.get()};
  if (settings_.change_user) spec.owner = {process.uid, process.gid};
  auto child = OM_TRY(Child::spawn(
      loop_, spec, [this, pid](int64_t code, int signal) { on_exit(pid, code, signal); }));
  theirs.reset();
  Entry entry;
  entry.process = process.id;
  // The child cannot have been reaped yet, so its pid is still its own.
  entry.deputy = ProcessId::of(child->pid()).value_or(ProcessId{child->pid(), 0});
  entry.child = std::move(child);
  entry.link = std::make_unique<DeputyLink>(loop_, std::move(ours), settings_.node, link_handlers(pid));
  children_.add(entry.deputy, {"deputy", pid, ""});
  DeputyLink* link = entry.link.get();
  entries_.insert_or_assign(pid, std::move(entry));
  return link;
}

bool Deputies::adopt(const ProcessInfo& process, pid_t deputy_pid, std::unique_ptr<JsonStream>& stream) {
  pid_t pid = process.id.pid;
  Entry* present = entry_of(process.id);
  if (present != nullptr && (present->child || !present->closed)) return false;
  auto deputy = ProcessId::of(deputy_pid);
  if (!deputy) return false;
  Entry entry;
  entry.process = process.id;
  entry.deputy = *deputy;
  entry.link = std::make_unique<DeputyLink>(std::move(stream), settings_.node, link_handlers(pid));
  // What an earlier daemon wrote down holds until the deputy says where the process is.
  if (children_.entries().count(entry.deputy) == 0) children_.add(entry.deputy, {"deputy", pid, ""});
  entries_.insert_or_assign(pid, std::move(entry));
  return true;
}

// A child is gone when both its socket and its exit status have been read, in whatever order they come:
// the last lines in the socket may hold the result of a migration.
void Deputies::on_closed(pid_t pid, std::optional<Error> error) {
  auto it = entries_.find(pid);
  if (it == entries_.end()) return;
  Entry& entry = it->second;
  entry.closed = true;
  if (error) log_warn("deputy", "connection to the deputy of process {}: {}", pid, error->text());
  if (!entry.child) {
    gone(pid, entry.last_state == DeputyLink::State::kHome, "its connection has ended");
  } else if (!entry.exit_text.empty()) {
    gone(pid, entry.exit_clean, entry.exit_text);
  }
}

void Deputies::on_exit(pid_t pid, int64_t code, int signal) {
  auto it = entries_.find(pid);
  if (it == entries_.end()) return;
  Entry& entry = it->second;
  entry.exit_clean = code == 0 && signal == 0;
  entry.exit_text = signal != 0 ? fmt::format("it was killed by signal {}", signal)
                                : fmt::format("it ended with status {}", code);
  if (entry.closed) return gone(pid, entry.exit_clean, entry.exit_text);
  // Whoever inherited the socket from the deputy must not keep us waiting.
  entry.patience = std::make_unique<Timer>(loop_);
  entry.patience->start(Milliseconds(1000), [this, pid] {
    const Entry& late = entries_.at(pid);
    gone(pid, late.exit_clean, late.exit_text);
  });
}

void Deputies::gone(pid_t pid, bool clean, std::string how) {
  Entry& entry = entries_.at(pid);
  children_.remove(entry.deputy);
  entry.child.reset();
  entry.patience.reset();
  entry.closed = true;
  bool was_home = entry.last_state == DeputyLink::State::kHome;
  if (clean || was_home) {
    if (!clean) events_.add({"failed", pid, "", "DEPUTY_LOST", "the deputy failed at home: " + how});
    entries_.erase(pid);
  } else {
    entry.last_state = DeputyLink::State::kLost;
    entry.link->set_lost();
    events_.add({"lost", pid, entry.link->at(), "DEPUTY_LOST",
                 fmt::format("the deputy has gone while the process was at {}: {}", entry.link->at(), how)});
  }
  handlers_.on_gone(pid, clean);
}

bool Deputies::ending(const ProcessId& process) const {
  const Entry* entry = entry_of(process);
  return entry != nullptr && entry->closed && entry->child != nullptr;
}

bool Deputies::detached(const ProcessId& process) const {
  return entry_of(process) == nullptr && children_.deputy_of(process.pid) != nullptr;
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

std::vector<ProcessId> Deputies::processes() const {
  std::vector<ProcessId> result;
  for (auto& [pid, entry] : entries_) result.push_back(entry.process);
  return result;
}

void Deputies::prune() {
  for (auto it = entries_.begin(); it != entries_.end();) {
    bool over = it->second.closed && !it->second.child && !it->second.process.alive();
    it = over ? entries_.erase(it) : std::next(it);
  }
}

}  // namespace om::migrator

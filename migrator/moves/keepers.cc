// SPDX-License-Identifier: Apache-2.0
#include "migrator/moves/keepers.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <set>

#include "common/base/log.h"
#include "common/base/names.h"
#include "common/base/pipe.h"
#include "common/proc/process.h"
#include "common/proc/stat.h"
#include "common/proc/status.h"
#include "migrator/moves/deputies.h"

namespace om::migrator {
namespace {

// Two daemons of one machine that begin at the same user id would often try the same.
uint32_t some_number() {
  uint32_t number = 0;
  (void)!::getrandom(&number, sizeof number, 0);  // any will do
  return number;
}

// Without effect on one that is being started, or has ended.
void tell(const ProcessId& keeper, int signal) {
  if (keeper.pid == 0) return;
  const auto pidfd = keeper.open();
  if (pidfd) ::syscall(SYS_pidfd_send_signal, pidfd->get(), signal, nullptr, 0);
}

}  // namespace

Keepers::Keepers(Loop& loop, const Clock& clock, Settings settings, ChildList& children,
                 Events& events)
    : loop_(loop),
      clock_(clock),
      settings_(std::move(settings)),
      children_(children),
      events_(events),
      users_(settings_.users, proc::user_has_processes, some_number()),
      groups_(GuestGroups::find(settings_.group, settings_.resources)) {
  groups_.sweep({});
}

Keepers::~Keepers() { groups_.leave(); }

Result<ChildSpec> Keepers::describe(const Offer& offer) const {
  ChildSpec spec;
  spec.program = OM_TRY(find_program("om-guest"));
  Pipe pipe = OM_TRY(Pipe::make());
  auto read_end = std::make_shared<UniqueFd>(std::move(pipe.read));
  const UniqueFd write_end = std::move(pipe.write);
  // The line must fit into the pipe, because nobody reads yet.
  std::string line = to_json_line(keeper_input(offer));
  int capacity = ::fcntl(write_end.get(), F_SETPIPE_SZ, 128 << 10);
  if (capacity < 0) capacity = ::fcntl(write_end.get(), F_GETPIPE_SZ);
  if (capacity < 0 || line.size() > static_cast<size_t>(capacity)) {
    return plain_error(fmt::format("the offer is {} bytes long", line.size()));
  }
  if (::write(write_end.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    return errno_error("write the offer");
  }
  spec.arguments = {"--home",       offer.home.text(),
                    "--node",       settings_.node,
                    "--guest",      fmt::format("{}@{}", offer.pid, offer.home_node),
                    "--headroom",   std::to_string(settings_.headroom),
                    "--namespaces", proc::isolation_name(settings_.namespaces),
                    "--memory",     std::to_string(settings_.resources.memory_bytes),
                    "--threads",    std::to_string(settings_.resources.threads),
                    "--cpu",        proc::cpu_share_name(settings_.resources.cpu)};
  spec.environment = child_environment({});
  spec.descriptors = {read_end->get(), 2, 2};
  spec.held = {read_end};
  return spec;
}

void Keepers::start(const Offer& offer, std::function<void(Result<void>)> done) {
  auto spec = describe(offer);
  if (!spec) return done(spec.error());
  uint64_t number = ++last_number_;
  const std::string group = fmt::format("{}-{}", ::getpid(), number);
  auto entered = groups_.make(group);
  if (!entered) return done(entered.error());
  auto owner = users_.take();
  if (!owner) return done(owner.error());
  spec->entered = std::move(*entered);
  spec->owner = *owner;
  // Counts from now on.
  Keeper& keeper = keepers_[number];
  keeper.guest = offer.pid;
  keeper.home = offer.home_node;
  keeper.uid = offer.uid;
  keeper.memory_bytes = offer.memory_bytes;
  keeper.started = clock_.now();
  keeper.owner = *owner;
  keeper.group = group;
  keeper.child = std::make_unique<Child>(
      loop_, std::move(*spec),
      [this, number, done = std::move(done)](Result<pid_t> pid) {
        on_started(number, std::move(pid), done);
      },
      [this, number](int64_t code, int signal) { on_exit(number, code, signal); });
}

void Keepers::on_started(uint64_t number, Result<pid_t> pid,
                         const std::function<void(Result<void>)>& done) {
  Keeper& keeper = keepers_.at(number);
  if (!pid) {
    const Error error = pid.error();
    forget(number);
    return done(error);
  }
  // Not reaped yet, so the pid is still its own.
  keeper.id = ProcessId::of(*pid).value_or(ProcessId{*pid, 0});
  ChildList::Entry entry{"keeper", keeper.guest, keeper.home};
  entry.uid = keeper.uid;
  children_.add(keeper.id, std::move(entry));
  // A daemon started after a crash of this one must count it.
  children_.when_written([done] { done({}); });
}

void Keepers::on_exit(uint64_t number, int64_t code, int signal) {
  auto it = keepers_.find(number);
  Keeper& keeper = it->second;
  bool clean = code == 0 && signal == 0;
  std::string how =
      signal != 0 ? fmt::format("killed by signal {}", signal) : fmt::format("status {}", code);
  const auto reason = clean ? std::nullopt : std::optional(ReasonCode::kKeeperFailed);
  events_.add({"guest_end", keeper.guest, keeper.home, reason, "keeper of a guest ended: " + how,
               guest_owner(keeper.home, keeper.uid)});
  children_.remove(keeper.id);
  forget(number);
}

void Keepers::forget(uint64_t number) {
  const auto it = keepers_.find(number);
  users_.give_back(it->second.owner);
  keepers_.erase(it);
  tidy();
}

void Keepers::tidy() {
  std::set<std::string> used;
  for (const auto& [number, keeper] : keepers_) used.insert(keeper.group);
  groups_.sweep(used);
}

std::vector<Keepers::Guest> Keepers::guests() const {
  std::vector<Guest> all;
  std::set<ProcessId> own;
  for (const auto& [number, keeper] : keepers_) {
    all.push_back({keeper.id, keeper.guest, keeper.home, keeper.uid});
    own.insert(keeper.id);
  }
  // Nothing tells us when an earlier daemon's keeper ends, and the list is pruned only every other second.
  for (const auto& [process, entry] : children_.entries()) {
    if (entry.role == "keeper" && own.count(process) == 0 && process.alive())
      all.push_back({process, entry.about, entry.at, entry.uid});
  }
  return all;
}

std::vector<pid_t> Keepers::pids() const {
  std::vector<pid_t> pids;
  for (const auto& [keeper, at_home, home, uid] : guests()) {
    if (keeper.pid != 0) pids.push_back(keeper.pid);
  }
  return pids;
}

GuestUsage Keepers::usage() const {
  GuestUsage usage;
  std::set<ProcessId> fresh;
  for (const auto& [number, keeper] : keepers_) {
    if (clock_.now() - keeper.started < kReservation) fresh.insert(keeper.id);
  }
  for (const auto& [keeper, at_home, home, uid] : guests()) {
    if (keeper.pid == 0) continue;
    for (const pid_t body : proc::list_children(keeper.pid).value_or({})) {
      const auto stat = proc::read_stat(body);
      if (!stat || stat->ppid != keeper.pid) continue;
      const uint64_t bytes =
          static_cast<uint64_t>(stat->rss) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
      usage.memory_bytes += bytes;
      if (fresh.count(keeper) != 0) usage.new_bytes += bytes;
      usage.threads += static_cast<uint32_t>(stat->num_threads);
    }
  }
  return usage;
}

GuestCounts Keepers::counts_for(const Offer& offer) const {
  GuestCounts counts;
  for (const auto& [keeper, at_home, home, uid] : guests()) {
    ++counts.in_all;
    if (home != offer.home_node) continue;
    ++counts.of_home;
    if (uid == offer.uid) ++counts.of_user;
  }
  return counts;
}

std::string Keepers::name_of(const Keeper& keeper) {
  return fmt::format("{} of {}", keeper.guest, keeper.home);
}

std::string Keepers::guest_with_body(pid_t body) const {
  auto stat = proc::read_stat(body);
  for (const auto& [number, keeper] : keepers_) {
    if (stat && stat->ppid == keeper.id.pid) return name_of(keeper);
  }
  return "";
}

std::string Keepers::guest_from(pid_t at_home) const {
  for (const auto& [number, keeper] : keepers_) {
    if (keeper.guest == at_home) return name_of(keeper);
  }
  return "";
}

void Keepers::end_guests_of(const std::string& home) {
  for (const auto& [keeper, at_home, at, uid] : guests()) {
    if (at == home) tell(keeper, SIGKILL);
  }
}

void Keepers::send_home() {
  for (const Guest& guest : guests()) send_home(guest.keeper);
}

void Keepers::send_home(const ProcessId& keeper) {
  // One that is not ready for the signal, or is an older program, would end by it, and its guest with it.
  const auto status = proc::read_status(keeper.pid);
  if (status && ((status->sig_caught | status->sig_blocked) & uint64_t{1} << (SIGUSR1 - 1)) != 0)
    tell(keeper, SIGUSR1);
}

uint64_t Keepers::reserved_bytes() const {
  uint64_t bytes = 0;
  for (auto& [number, keeper] : keepers_) {
    if (clock_.now() - keeper.started < kReservation) bytes += keeper.memory_bytes;
  }
  return bytes;
}

}  // namespace om::migrator

// SPDX-License-Identifier: Apache-2.0
#include "migrator/moves/leaving.h"

#include "common/base/log.h"
#include "common/cpu/cpu_baseline.h"
#include "common/movable/preflight.h"
#include "common/movable/preload.h"
#include "common/movable/verdict.h"
#include "common/proc/privileges.h"
#include "common/proc/process.h"
#include "migrator/peers/admission.h"
#include "migrator/processes/process_table.h"

namespace om::migrator {
namespace {

// nullopt: it may go to other nodes. Any thread; the process may have many threads to look at.
std::optional<Reason> refuse_to_let_go(pid_t pid) {
  std::string privileges = root_privileges(pid);
  if (privileges.empty()) return std::nullopt;
  return Reason{ReasonCode::kRootOwned, std::move(privileges)};
}

// A process started by `om run --cpu` keeps to its baseline.
std::vector<std::string> used_features(pid_t pid, const std::vector<std::string>& features) {
  const ProgramStart start = read_start(proc::memory_tid(pid));
  const CpuBaseline* baseline = start.cpu.empty() ? nullptr : find_cpu_baseline(start.cpu);
  return baseline == nullptr ? features : restrict_features(features, *baseline);
}

}  // namespace

Leaving::Leaving(Loop& loop, Policy policy, PeerTable& peers)
    : loop_(loop),
      policy_(std::move(policy)),
      peers_(peers),
      tasks_(kj::heap<kj::TaskSet>(errors_)) {}

Leaving::~Leaving() { *alive_ = false; }

std::vector<Reason> Leaving::preflight(pid_t pid, bool native, bool root_may_leave) {
  // No need to look further.
  if (auto kept = root_may_leave ? std::nullopt : refuse_to_let_go(pid)) return {*kept};
  std::vector<Reason> reasons;
  if (!native) return reasons;
  // The most specific reason comes first: not being preloaded follows from some of the others.
  for (Reason& reason : preflight_process(pid)) {
    const bool cause =
        reason.code == ReasonCode::kStaticBinary || reason.code == ReasonCode::kSanitizer;
    reasons.insert(cause ? reasons.begin() : reasons.end(), std::move(reason));
  }
  return reasons;
}

// Off the loop.
void Leaving::look_at_privileges(pid_t pid, Done done) {
  if (policy_.root_may_leave) return done(std::nullopt);
  auto kept = std::make_shared<std::optional<Reason>>();
  run_in_pool(
      loop_, [kept, pid] { *kept = refuse_to_let_go(pid); },
      [alive = alive_, kept, done = std::move(done)] {
        if (*alive) done(*kept);
      });
}

void Leaving::need_guest(pid_t pid, const std::string& to, Offer offer,
                         DeputyLink::GuestAnswer answer) {
  // Check again, as things are now: nothing leaves without this check.
  look_at_privileges(pid, [this, pid, to, offer = std::move(offer),
                           answer = std::move(answer)](const std::optional<Reason>& kept) mutable {
    if (kept) return answer(kept);
    ask(pid, to, std::move(offer), answer);
  });
}

void Leaving::ask(pid_t pid, const std::string& to, Offer offer, DeputyLink::GuestAnswer answer) {
  PeerLink* link = peers_.find(to);
  if (link == nullptr) return answer(refuse(ReasonCode::kTargetUnreachable, "{} is no peer", to));
  auto process = read_process(pid);
  if (!process) return answer(refuse(ReasonCode::kNoSuchProcess, "it has ended"));
  // The deputy belongs to the user, so what identifies the process comes from us.
  offer.pid = pid;
  offer.uid = process->uid;
  offer.cpu_features = used_features(pid, offer.cpu_features);
  offer.home_node = policy_.node;
  uint16_t port = offer.home.port();
  offer.home = policy_.listen;
  offer.home.set_port(port);
  // A deputy keeps to what it was started with.
  if (!offer.cipher != policy_.plain) {
    return answer(refuse(ReasonCode::kBlocked,
                         "its deputy was started with another value of wire than node {} has now",
                         policy_.node));
  }
  PeerLink::Adapt adapt;
  if (!policy_.plain) {
    adapt = [own = policy_.cpu_features](const NodeFacts& peer, Offer& offered) {
      offered.cipher = choose_cipher(own, peer.cpu_features);
    };
  }
  // kj::mv: KJ keeps only a reference to a callable passed as an lvalue.
  tasks_->add(link->admit(std::move(offer), adapt).then(kj::mv(answer)));
}

}  // namespace om::migrator

// SPDX-License-Identifier: Apache-2.0
//
// Body: parking and going on. The threads of a body stop by themselves: BodyState.stop tells them to, and a kick makes
// them look.
#include <signal.h>

#include <algorithm>
#include <chrono>

#include "common/proc/process.h"
#include "common/proc/stat.h"
#include "guest/body.h"

namespace om::guest {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kKickSignal = SIGURG;
constexpr auto kParkLimit = std::chrono::seconds(5);
constexpr auto kKickAgain = std::chrono::milliseconds(5);
constexpr kj::Duration kLook = 100 * kj::MICROSECONDS, kLookAtLast = 20 * kj::MILLISECONDS;
constexpr auto kKickLater = 1 * kj::MILLISECONDS;

char state_of(pid_t tid) {
  const auto stat = proc::read_stat(tid);
  return stat ? stat->state : '-';
}

Reason not_parked(const BodyProcess& process, const std::vector<BodyThread>& late) {
  const BodyThread& t = late.front();
  return refuse(ReasonCode::kUninterruptible,
                "{} threads of the body do not stand still; slot {}: phase {}, call {} ({}), "
                "thread {} state {}",
                late.size(), t.slot, t.phase, t.call_nr, t.call_sent ? "sent" : "not sent",
                t.body_tid, state_of(process.outer_tid(t.body_tid)));
}

}  // namespace

Step Body::park(Session& session, uint32_t generation, bool look) {
  if (!is_running() || !process_.running())
    return refuse(ReasonCode::kInternal, "the body has ended");
  if (paused_ && !look)
    return refuse(ReasonCode::kStopped, "the process is stopped by job control");
  if (generation == 0) return refuse(ReasonCode::kInternal, "generation 0");
  OM_MUST_VOID(put_state(offsetof(BodyState, stop), generation));
  if (paused_ || held_) {
    // Kicks first: when the body continues, its threads take them before they run any of the program.
    process_.signal_all(kKickSignal);
    process_.signal_leader(SIGCONT);
    held_ = false;
  }
  Step parked = wait_parked(session, generation);
  if (!parked.ok()) {
    static_cast<void>(let_go_on(session));
    return parked;
  }
  parked_ = true;
  return {};
}

// Threads in use that are not parked yet.
Verdict<std::vector<BodyThread>> Body::late_threads(uint32_t generation) const {
  const auto ready =
      OM_MUST(memory().get<uint32_t>(bounds().body_state + offsetof(BodyState, slots_ready)));
  std::vector<BodyThread> late;
  for (uint32_t slot = 0; slot < std::min(ready, bounds().slots); slot++) {
    const BodyThread t = OM_MUST(thread(slot));
    if (t.busy && (t.phase != kBodyParked || t.park_seen != generation)) late.push_back(t);
  }
  return late;
}

Step Body::wait_parked(Session& session, uint32_t generation) {
  const auto start = Clock::now();
  auto kicked = start - kKickAgain;
  // Looked at twice: a thread that was not parked at the first look may have made another behind our back.
  bool all_before = false;
  for (;;) {
    if (!process_.running()) return refuse(ReasonCode::kInternal, "the body has ended");
    const auto late = OM_TRY(late_threads(generation));
    if (late.empty() && all_before) return {};
    all_before = late.empty();
    if (late.empty()) continue;
    const auto now = Clock::now();
    if (now - start > kParkLimit) return not_parked(process_, late);
    if (now - kicked >= kKickAgain) {
      for (const BodyThread& t : late) process_.signal_thread(t.body_tid, kKickSignal);
      kicked = now;
    }
    session.pause(kLook);
  }
}

Step Body::let_go_on(Session& session) {
  if (!is_running()) return refuse(ReasonCode::kInternal, "home's calls are out of order");
  parked_ = false;
  if (paused_) stop_parked(session);
  const uint32_t none = 0;
  OM_MUST_VOID(put_state(offsetof(BodyState, stop), none));
  process_.signal_all(kKickSignal);
  return {};
}

// Job control had stopped the body, and park() continued it for a look: stops it again.
void Body::stop_parked(Session& session) {
  process_.signal_leader(SIGSTOP);
  const auto limit = Clock::now() + kParkLimit;
  auto running = [this] {
    auto tids = proc::list_tasks(process_.pid());
    return tids && std::any_of(tids->begin(), tids->end(), [](pid_t tid) {
             const char state = state_of(tid);
             return state == 'R' || state == 'S';
           });
  };
  // Nobody waits for it: looks less and less often.
  for (kj::Duration pause = kLook; running() && Clock::now() < limit;
       pause = std::min(2 * pause, kLookAtLast))
    session.pause(pause);
}

void Body::kick(capnp::List<uint32_t>::Reader slots) {
  if (slots.size() > kMaxSlots) return;
  for (uint32_t slot : slots) kick_slot(slot);
}

// A thread that is still being made has a twin at home that may get signals already: kicks it once it exists.
void Body::kick_slot(uint32_t slot) {
  if (slot >= bounds().slots || !is_running()) return;
  auto t = thread(slot);
  if (!t || !t->busy) return;
  if (t->body_tid > 0) return process_.signal_thread(t->body_tid, kKickSignal);
  if (!late_.insert(slot).second) return;
  tasks_.add(io_.provider->getTimer().afterDelay(kKickLater).then([this, slot] {
    late_.erase(slot);
    kick_slot(slot);
  }));
}

}  // namespace om::guest

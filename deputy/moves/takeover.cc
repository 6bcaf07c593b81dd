// SPDX-License-Identifier: Apache-2.0
#include "deputy/moves/takeover.h"

#include <kj/debug.h>
#include <string.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "common/base/log.h"
#include "common/movable/preflight.h"
#include "common/proc/process.h"
#include "common/proc/status.h"
#include "deputy/home/connect_socket.h"
#include "deputy/home/executors.h"
#include "deputy/home/leave_vdso.h"
#include "deputy/home/plan_threads.h"
#include "deputy/home/threads_back.h"
#include "libom/abi/home.h"
#include "libom/abi/thread.h"

namespace om::deputy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kUndoLimit = std::chrono::seconds(2);
constexpr auto kStopLimit = std::chrono::seconds(1);
constexpr auto kKeeperComes = 3 * kj::SECONDS;
constexpr auto kStopAgain = 200 * kj::MILLISECONDS;

bool plausible(const HomeState& h) {
  return h.arena != 0 && h.arena % kPageSize == 0 && h.nslots > 0 && h.nslots <= kMaxSlots &&
         h.slots_ready > 0 && h.slots_ready <= h.nslots && h.fd_base > 2;
}

}  // namespace

void take_over(Process& process, const std::string& at, const SessionTerms& terms, bool moving) {
  Takeover takeover(process, {at, terms, moving});
  Step done = takeover.run();
  if (done.ok()) return;
  if (has_ended(process.home.pid)) return takeover.is_at_home("it has ended");
  KJ_FAIL_REQUIRE("cannot take the process over", done.error().message());
}

void Takeover::is_at_home(std::string_view why) {
  log_info("takeover", "process {} is at home: {}", home_.pid, why);
  process_.come_back();
  process_.say(wire::State::HOME);
}

Step Takeover::run() {
  OM_TRY(fault("adopt.begin"));
  OM_TRY(find_undone());
  if (process_.over()) return Done{};
  OM_TRY(open_home());
  if (home_.state.phase == kHomeReturning) return complete_return();
  // If a thread does not stop in time, they are met later (attend.cc).
  Step met = meet_executors(process_);
  if (!met && !is_in_the_way(met.error().code)) return met.error();
  watch();
  return Done{};
}

// Finds out whether the process is away at all; a departure that had not been decided undoes itself.
Step Takeover::find_undone() {
  auto at_home = [&](std::string_view why) {
    is_at_home(why);
    return Done{};
  };
  auto target = open_target(home_.pid);
  if (!target) {
    const ReasonCode code = target.error().code;
    if (code == ReasonCode::kNoSuchProcess) return at_home("it has ended");
    if (code == ReasonCode::kNotPreloaded) return at_home("it runs another program");
    return target.error();
  }
  home_.target = std::move(*target);
  OM_TRY(put_stepped_mask_back());
  home_.state = OM_MUST(home_.target->home());
  if (home_.state.phase == kHomeNative) return at_home("no executor runs");
  for (const auto limit = Clock::now() + kUndoLimit; home_.state.phase == kHomeCaptured;) {
    // A call that stayed in the kernel may take any time; it, too, goes back to the program when it ends.
    if (home_.state.undone == 2 || Clock::now() > limit)
      return at_home("its departure had not been committed");
    process_.io.provider->getTimer().afterDelay(1 * kj::MILLISECONDS).wait(process_.io.waitScope);
    home_.state = OM_MUST(home_.target->home());
  }
  return Done{};
}

// Checks what the previous deputy has left; from then on the process counts as away.
Step Takeover::open_home() {
  if (memcmp(home_.state.session_id, from_.terms.session, sizeof from_.terms.session) != 0 ||
      home_.state.member != process_.member || !plausible(home_.state)) {
    return refuse(ReasonCode::kInternal, "the state left by the previous deputy is inconsistent");
  }
  home_.arena = home_.state.arena;
  home_.fd_base = home_.state.fd_base;
  const auto status = OM_MUST(proc::read_status(home_.pid));
  home_.inner_pid = status.ns_pids.empty() ? home_.pid : status.ns_pids.back();
  session_.expect(from_.terms, home_.state.attempt,
                  [&home = home_](uint64_t attempt) { return home.remember_attempt(attempt); });
  session_.link().be_patient();
  home_.socket.emplace(from_.terms.session, process_.member, [&session = session_](uint32_t slot) {
    return session.link().channels().take(slot);
  });
  process_.plans.clear();
  process_.leave(from_.at);
  return Done{};
}

void Takeover::watch() {
  // A keeper that was not told to let the body run does not come.
  if (from_.moving && home_.state.effectful == 0) process_.watch()->be_short_with(kKeeperComes);
  process_.watch()->begin();
  if (process_.files.may_have_changed(inspect_process(home_.pid))) {
    log_warn("files", "process {} comes home: a file that it has mapped may have been changed",
             home_.pid);
    process_.watch()->noticed().want_home = true;
    process_.notice.happened();
  }
  process_.say(wire::State::AWAY);
}

Step meet_executors(Process& process) {
  HomeSide& home = process.home;
  StoppedProcess stop = OM_TRY(stop_executors(home));
  OM_TRY(meet(home, stop));
  if (home.state.hold != 0) OM_TRY(settle_executors(home, stop));
  const uint32_t off = 0;
  OM_MUST_VOID(home.target->put_home_field(offsetof(HomeState, hold), off));
  stop.release();
  return Done{};
}

// The return has been decided: waits out whatever keeps the threads from stopping, as long as they live.
Step Takeover::complete_return() {
  log_info("takeover", "process {}: completing its return", home_.pid);
  for (bool told = false;; told = true) {
    Step done = complete_return_once();
    if (done.ok() || !is_in_the_way(done.error().code) || has_ended(home_.pid)) return done;
    if (!told) {
      log_warn("takeover", "process {}: its return is completed when its threads stop: {}: {}",
               home_.pid, done.error().name(), done.error().message());
    }
    process_.io.provider->getTimer().afterDelay(kStopAgain).wait(process_.io.waitScope);
  }
}

// Gives threads that are still in libom what their slots say. (Those whose transfer goes on need nobody.)
Step Takeover::complete_return_once() {
  StoppedProcess stop = OM_TRY(stop_executors(home_));
  for (auto& t : stop.threads()) {
    const bool inside = home_.is_in_arena(t);
    if (!inside || OM_MUST(home_.target->thread(home_.arena, home_.slot_of(t))).late != 0)
      stop.let_go(t);
  }
  std::erase_if(stop.threads(), [](const StoppedThread& t) { return t.tracee.gone(); });
  std::vector<ThreadState> states;
  std::vector<std::vector<std::byte>> xsaves;
  OM_TRY(settle_executors(home_, stop));
  for (auto& t : stop.threads()) {
    const uint64_t slot = slot_address(home_.arena, home_.slot_of(t));
    states.push_back(OM_MUST(home_.target->memory.get<ThreadState>(slot + kSlotReturn)));
    if (states.back().slot != home_.slot_of(t))
      return refuse(ReasonCode::kInternal, "thread {} has no state", t.tid);
    xsaves.push_back(OM_TRY(saved_xstate(home_, t, home_.slot_of(t))));
  }
  if (states.empty()) {
    const uint32_t off = 0, native = kHomeNative;
    OM_MUST_VOID(home_.target->put_home_field(offsetof(HomeState, phase), native));
    OM_MUST_VOID(home_.target->put_home_field(offsetof(HomeState, hold), off));
    stop.detach();
  } else {
    OM_TRY(guard_executors(home_, stop));
    OM_TRY(restore_threads(home_, stop, states, xsaves, 0, process_.around.note));
  }
  end_parked_body();
  process_.come_back();
  process_.say(wire::State::HOME);
  return Done{};
}

// The keeper is looking for us; it should not have to wait until its patience ends.
void Takeover::end_parked_body() {
  kj::runCatchingExceptions([&] {
    session_.reopen(process_.io.provider->getTimer()
                        .timeoutAfter(kKeeperComes, session_.link().session())
                        .wait(process_.io.waitScope));
  });
}

// The deputy died while it let a thread out of the vDSO.
Step Takeover::put_stepped_mask_back() {
  const uint64_t aid = home_.target->anchor.first_aid;
  const FirstAid first = OM_MUST(home_.target->memory.get<FirstAid>(aid));
  if (first.stepped_tid == 0) return Done{};
  const auto tids = OM_MUST(proc::list_tasks(home_.pid));
  if (std::find(tids.begin(), tids.end(), first.stepped_tid) != tids.end()) {
    Tracee t(first.stepped_tid);
    OM_MUST_VOID(t.seize());
    t.interrupt();
    OM_MUST_VOID(t.wait_stop(Clock::now() + kStopLimit));
    if (!t.gone()) OM_TRY(undo_leave_vdso(*home_.target, t));
    t.detach();
  }
  OM_MUST_VOID(home_.target->memory.put(aid + offsetof(FirstAid, stepped_tid), int32_t{0}));
  return Done{};
}

}  // namespace om::deputy

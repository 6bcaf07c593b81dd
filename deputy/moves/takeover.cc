// SPDX-License-Identifier: Apache-2.0
//
// Takes a process over whose deputy has died. Everything that is needed is in the process (HomeState, slots) and in
// the few words that om-migrator knows: where it is, the keys, the port on which the keeper will look for us.
//
//   HomeState.phase      what is found                            what follows
//   native               at home, or another program (execve)     nothing to do
//   captured             the departure had not been decided       its threads go back by themselves
//   away                 executors wait, or want channels         as after a lost connection (watch.cc)
//   returning            memory is home, some threads have left   the return is completed
//
// A keeper that has never been told to let the body run ends it when its session ends; then nobody comes, and the
// process goes on at home from what it still holds (recall_plans, roll_back).
#include <signal.h>
#include <string.h>

#include <kj/debug.h>

#include <algorithm>

#include "common/base/log.h"
#include "common/proc/process.h"
#include "common/proc/status.h"
#include "deputy/base/text.h"
#include "deputy/home/leave_vdso.h"
#include "deputy/mover.h"
#include "libom/abi/home.h"
#include "libom/abi/thread.h"

namespace om::deputy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kUndoLimit = std::chrono::seconds(2);
constexpr auto kStopLimit = std::chrono::seconds(1);
constexpr auto kKeeperComes = 3 * kj::SECONDS;
constexpr auto kStopAgain = 200 * kj::MILLISECONDS;
constexpr uint64_t bit(int sig) { return uint64_t{1} << (sig - 1); }

bool plausible(const HomeState& h) {
  return h.arena != 0 && h.arena % kPageSize == 0 && h.nslots > 0 && h.nslots <= kMaxSlots &&
         h.slots_ready > 0 && h.slots_ready <= h.nslots && h.fd_base > 2;
}

}  // namespace

bool is_in_the_way(ReasonCode code) {
  return code == ReasonCode::kUninterruptible || code == ReasonCode::kSharedMm ||
         code == ReasonCode::kTraced || code == ReasonCode::kTimeout;
}

void Mover::take_over(const std::string& at, const SessionKeys& keys, bool moving) {
  Step done = take_over_steps(at, keys, moving);
  if (done.ok()) return;
  if (has_ended(home_.pid)) return is_at_home("it has ended");
  // om-migrator tries again with another deputy.
  KJ_FAIL_REQUIRE("cannot take the process over", done.reason().message());
}

void Mover::is_at_home(std::string_view why) {
  log_info("adopt", "process {} is at home: {}", home_.pid, why);
  away_ = false;
  finished_ = true;
  around_.state(home_node_, "home");
}

Step Mover::take_over_steps(const std::string& at, const SessionKeys& keys, bool moving) {
  auto at_home = [&](std::string_view why) {
    is_at_home(why);
    return Done{};
  };
  OM_STEP(fault("adopt.begin"));
  auto target = open_target(home_.pid);
  if (!target) {
    const ReasonCode code = target.reason().code;
    if (code == ReasonCode::kNoSuchProcess) return at_home("it has ended");
    if (code == ReasonCode::kNotPreloaded) return at_home("it runs another program");
    return target.reason();
  }
  home_.target = std::move(*target);
  OM_STEP(put_stepped_mask_back());
  home_.state = OM_MUST(home_.target->home());
  if (home_.state.phase == kHomeNative) return at_home("no executor runs");
  for (const auto limit = Clock::now() + kUndoLimit; home_.state.phase == kHomeCaptured;) {
    // A call that stayed in the kernel may take any time; it, too, goes back to the program when it ends.
    if (home_.state.undone == 2 || Clock::now() > limit)
      return at_home("its departure was not decided");
    io_.provider->getTimer().afterDelay(1 * kj::MILLISECONDS).wait(io_.waitScope);
    home_.state = OM_MUST(home_.target->home());
  }
  if (memcmp(home_.state.session_id, keys.session, sizeof keys.session) != 0 ||
      !plausible(home_.state)) {
    return refuse(ReasonCode::kInternal, "the state that its deputy has left does not fit");
  }
  home_.arena = home_.state.arena;
  home_.fd_base = home_.state.fd_base;
  const auto status = OM_MUST(proc::read_status(home_.pid));
  home_.inner_pid = status.ns_pids.empty() ? home_.pid : status.ns_pids.back();
  session_.expect(keys);
  session_.link().be_patient();
  home_.socket.emplace(keys.session,
                       [this](uint32_t slot) { return session_.link().take_channel(slot); });
  plans_.clear();
  away_ = true;
  at_ = at;
  if (home_.state.phase == kHomeReturning) return complete_return();
  // Where a thread does not stop in time they are met later (watch.cc).
  Step met = meet_executors();
  if (!met && !is_in_the_way(met.reason().code)) return met.reason();
  // Whoever has not been told to let the body run does not come.
  make_watch();
  if (moving && home_.state.effectful == 0) watch_->be_short_with(kKeeperComes);
  watch_->begin();
  if (files_.may_have_changed(inspect_process(home_.pid))) {
    log_warn("files", "process {} comes home: a file that it has mapped may have been changed",
             home_.pid);
    watch_->noticed().want_home = true;
    notice_.happened();
  }
  around_.state(at_, "away");
  return Done{};
}

// Makes the session connection. If a homecoming had been given up in the middle, finished calls are answered.
Step Mover::meet_executors() {
  StoppedProcess stop = OM_STEP(stop_executors(home_));
  OM_STEP(meet(home_, stop));
  if (home_.state.hold != 0) OM_STEP(settle_executors(home_, stop));
  const uint32_t off = 0;
  OM_MUST_VOID(home_.target->put_home_field(offsetof(HomeState, hold), off));
  stop.release();
  return Done{};
}

// It has been decided: what keeps its threads from standing still is waited for as long as they live.
Step Mover::complete_return() {
  log_info("adopt", "process {}: completing its return", home_.pid);
  for (bool told = false;; told = true) {
    Step done = complete_return_once();
    if (done.ok() || !is_in_the_way(done.reason().code) || has_ended(home_.pid)) return done;
    if (!told) {
      log_warn("adopt", "process {}: its return is completed when its threads stop: {}: {}",
               home_.pid, done.reason().name(), done.reason().message());
    }
    io_.provider->getTimer().afterDelay(kStopAgain).wait(io_.waitScope);
  }
}

// Threads that are still in libom get what their slots say. (Those whose transfer goes on need nobody.)
Step Mover::complete_return_once() {
  StoppedProcess stop = OM_STEP(stop_executors(home_));
  for (auto& t : stop.threads()) {
    const bool inside = home_.is_in_arena(t);
    if (!inside || OM_MUST(home_.target->thread(home_.arena, home_.slot_of(t))).late != 0)
      stop.let_go(t);
  }
  std::erase_if(stop.threads(), [](const StoppedThread& t) { return t.tracee.gone(); });
  std::vector<ThreadState> states;
  std::vector<std::vector<std::byte>> xsaves;
  OM_STEP(settle_executors(home_, stop));
  for (auto& t : stop.threads()) {
    const uint64_t slot = slot_address(home_.arena, home_.slot_of(t));
    states.push_back(OM_MUST(home_.target->memory.get<ThreadState>(slot + kSlotReturn)));
    if (states.back().slot != home_.slot_of(t))
      return refuse(ReasonCode::kInternal, "thread {} has no state", t.tid);
    std::vector<std::byte> area(t.xstate.size());
    OM_MUST_VOID(home_.target->memory.read(slot + kSlotFrame + kFrameXsave, area));
    xsaves.push_back(std::move(area));
  }
  if (states.empty()) {
    const uint32_t off = 0, native = kHomeNative;
    OM_MUST_VOID(home_.target->put_home_field(offsetof(HomeState, phase), native));
    OM_MUST_VOID(home_.target->put_home_field(offsetof(HomeState, hold), off));
    stop.detach();
  } else {
    OM_STEP(guard_executors(home_, stop));
    OM_STEP(restore_threads(home_, stop, states, xsaves, 0, around_.note));
  }
  end_parked_body();
  away_ = false;
  disconnect();
  finished_ = true;
  at_ = home_node_;
  around_.state(at_, "home");
  return Done{};
}

// The keeper looks for us; it should not have to wait for its patience to end.
void Mover::end_parked_body() {
  kj::runCatchingExceptions([&] {
    session_.open(io_.provider->getTimer()
                      .timeoutAfter(kKeeperComes, session_.link().session())
                      .wait(io_.waitScope));
  });
}

// What depart_steps() has in plans_, from the slots: for a rollback of another deputy's departure.
Step Mover::recall_plans(StoppedProcess& stop) {
  for (auto& t : stop.threads()) {
    const uint32_t slot = home_.slot_of(t);
    const uint64_t base = slot_address(home_.arena, slot);
    const HomeThread h = OM_MUST(home_.target->thread(home_.arena, slot));
    const ResumeFrame frame = OM_MUST(home_.target->memory.get<ResumeFrame>(base + kSlotFrame));
    ThreadPlan plan;
    ThreadState& s = plan.state;
    s.slot = slot;
    s.tid = h.tid;
    s.kind = frame.pad[kFrameWaits] != 0 ? kThreadWaiting : kThreadUser;
    s.nr = static_cast<uint32_t>(frame.pad[kFrameNr]);
    std::copy_n(frame.pad + kFrameArgs, std::size(s.args), s.args);
    s.seq = s.kind == kThreadWaiting ? 1 : 0;
    std::copy(std::begin(frame.gpr), std::end(frame.gpr), s.regs);
    if (frame.pad[kFrameRewound] != 0)
      s.regs[kRip] += 2;  // behind the call, as a waiting thread stands
    s.kernel = h.kernel;
    s.kernel.fs_base = t.regs.fs_base;
    s.kernel.sigmask = frame.sigmask;
    s.kernel.ctid = frame.pad[kFrameCtid];
    s.kernel.robust_head = t.kernel.robust_head;
    s.kernel.robust_size = t.kernel.robust_size;
    plans_.threads.push_back(plan);
    std::vector<std::byte> area(t.xstate.size());
    OM_MUST_VOID(home_.target->memory.read(base + kSlotFrame + kFrameXsave, area));
    plans_.xsaves.push_back(std::move(area));
  }
  return Done{};
}

// The deputy died while it let a thread out of the vDSO.
Step Mover::put_stepped_mask_back() {
  const uint64_t aid = home_.target->anchor.first_aid;
  const FirstAid first = OM_MUST(home_.target->memory.get<FirstAid>(aid));
  if (first.stepped_tid == 0) return Done{};
  const auto tids = OM_MUST(proc::list_tasks(home_.pid));
  if (std::find(tids.begin(), tids.end(), first.stepped_tid) != tids.end()) {
    Tracee t(first.stepped_tid);
    OM_MUST_VOID(t.seize());
    t.interrupt();
    OM_MUST_VOID(t.wait_stop(Clock::now() + kStopLimit));
    if (!t.gone()) OM_STEP(undo_leave_vdso(*home_.target, t));
    t.detach();
  }
  OM_MUST_VOID(home_.target->memory.put(aid + offsetof(FirstAid, stepped_tid), int32_t{0}));
  return Done{};
}

void Mover::report() const {
  around_.state(at_, away_ ? "away" : "home");
  if (away_) around_.session(at_, session_.keys(), session_.link().port());
}

}  // namespace om::deputy

// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/plan_threads.h"

#include <errno.h>

#include <algorithm>
#include <iterator>

#include "deputy/home/classify.h"
#include "libom/abi/home.h"
#include "libom/abi/thread.h"

namespace om::deputy {
namespace {

// The executor's frame holds what the thread was doing.
Verdict<ThreadPlan> recall_plan(const HomeSide& home, const StoppedThread& t) {
  const uint32_t slot = home.slot_of(t);
  const HomeThread h = OM_MUST(home.target->thread(home.arena, slot));
  const ResumeFrame frame =
      OM_MUST(home.target->memory.get<ResumeFrame>(slot_address(home.arena, slot) + kSlotFrame));
  ThreadPlan plan;
  ThreadState& s = plan.state;
  s.slot = slot;
  s.tid = h.tid;
  s.kind = frame.pad[kFrameWaits] != 0 ? kThreadWaiting : kThreadUser;
  s.nr = static_cast<uint32_t>(frame.pad[kFrameNr]);
  std::copy_n(frame.pad + kFrameArgs, std::size(s.args), s.args);
  s.seq = s.kind == kThreadWaiting ? 1 : 0;
  std::copy(std::begin(frame.gpr), std::end(frame.gpr), s.regs);
  if (frame.pad[kFrameRewound] != 0) s.regs[kRip] += 2;  // after the call, as for a waiting thread
  s.kernel = h.kernel;
  s.kernel.fs_base = t.regs.fs_base;
  s.kernel.sigmask = frame.sigmask;
  s.kernel.ctid = frame.pad[kFrameCtid];
  s.kernel.robust_head = t.kernel.robust_head;
  s.kernel.robust_size = t.kernel.robust_size;
  return plan;
}

// The plan of a thread that is still completing a transfer that it began away: the program's state is in its frame, its
// call in its slot.
Verdict<ThreadPlan> plan_late(const HomeSide& home, const StoppedThread& t, const HomeThread& h) {
  const auto rax = static_cast<int64_t>(t.regs.rax);
  const bool waits = t.in_call() && t.regs.rip >= home.target->image_lo() &&
                     t.regs.rip < home.target->image_hi() &&
                     (rax == -EINTR || (rax <= -512 && rax >= -516));
  if (h.late == 0 || h.phase != kExecCall || !waits) {
    return refuse(ReasonCode::kInCall, "thread {} completes a transfer that it began away", t.tid);
  }
  const ResumeFrame frame = OM_MUST(
      home.target->memory.get<ResumeFrame>(slot_address(home.arena, home.slot_of(t)) + kSlotFrame));
  ThreadPlan plan;
  ThreadState& s = plan.state;
  s.tid = t.inner_tid;
  s.kind = kThreadWaiting;
  s.nr = h.call.nr;
  std::copy(std::begin(h.call.program_args), std::end(h.call.program_args), s.args);
  s.seq = 1;
  std::copy(std::begin(frame.gpr), std::end(frame.gpr), s.regs);
  s.kernel = t.kernel;
  s.kernel.sigmask = frame.sigmask;
  plan.at_home = AtHome::kLate;
  return plan;
}

}  // namespace

Verdict<std::vector<std::byte>> saved_xstate(const HomeSide& home, const StoppedThread& t,
                                             uint32_t slot) {
  std::vector<std::byte> area(t.xstate.size());
  OM_MUST_VOID(
      home.target->memory.read(slot_address(home.arena, slot) + kSlotFrame + kFrameXsave, area));
  return area;
}

Step place_threads(const HomeSide& home, std::vector<StoppedThread>& threads) {
  for (size_t i = 0; i < threads.size(); i++) {
    if (!home.is_in_arena(threads[i])) continue;
    const uint32_t slot = home.slot_of(threads[i]);
    if (slot == i) continue;
    const bool free = slot < threads.size() &&
                      !(home.is_in_arena(threads[slot]) && home.slot_of(threads[slot]) == slot);
    if (!free)
      return refuse(ReasonCode::kInCall, "thread {} completes a transfer that it began away",
                    threads[i].tid);
    std::swap(threads[i], threads[slot]);
    i = static_cast<size_t>(-1);  // what was swapped here may have to go elsewhere, too
  }
  return Done{};
}

Verdict<ThreadPlans> plan_threads(const HomeSide& home, StoppedProcess& stop) {
  for (auto& t : stop.threads()) {
    constexpr uint32_t kOne = 1;
    if (!home.is_in_arena(t)) continue;
    OM_MUST_VOID(home.target->memory.put(home.target->thread_address(home.arena, home.slot_of(t)) +
                                             offsetof(HomeThread, interrupted),
                                         kOne));
  }
  OM_TRY(place_threads(home, stop.threads()));
  ThreadPlans plans;
  for (auto& t : stop.threads()) {
    if (t.regs.gs_base != 0) return refuse(ReasonCode::kGsBase, "thread {}", t.tid);
    if (t.tracee.has_user_dispatch())
      return refuse(ReasonCode::kOwnTraps, "thread {}: system calls", t.tid);
    const auto slot = static_cast<uint32_t>(plans.threads.size());
    if (home.is_in_arena(t)) {
      plans.threads.push_back(
          OM_TRY(plan_late(home, t, OM_MUST(home.target->thread(home.arena, slot)))));
      plans.xsaves.push_back(OM_TRY(saved_xstate(home, t, slot)));
    } else {
      plans.threads.push_back(OM_TRY(classify(*home.target, t)));
      plans.xsaves.push_back(t.xstate);
    }
    plans.threads.back().state.slot = slot;
  }
  if (plans.threads.size() > home.state.nslots)
    return refuse(ReasonCode::kInternal, "more threads than were prepared for, try again");
  return plans;
}

Verdict<ThreadPlans> recall_plans(const HomeSide& home, StoppedProcess& stop) {
  ThreadPlans plans;
  for (auto& t : stop.threads()) {
    plans.threads.push_back(OM_TRY(recall_plan(home, t)));
    plans.xsaves.push_back(OM_TRY(saved_xstate(home, t, plans.threads.back().state.slot)));
  }
  return plans;
}

}  // namespace om::deputy

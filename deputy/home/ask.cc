// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/ask.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include <algorithm>

#include "common/proc/process.h"
#include "common/proc/status.h"
#include "deputy/home/frames.h"
#include "libom/abi/home.h"
#include "libom/abi/thread.h"

namespace om::deputy {
namespace {

// Timers and limits on CPU time would count only the twins, which use next to none.
Step ask_cpu_timers(const HomeSide& home, StoppedProcess& stop, StoppedThread& t, uint64_t stack,
                    uint64_t scratch) {
  if (OM_MUST(proc::read_limit(home.pid, RLIMIT_CPU)).rlim_cur != RLIM_INFINITY)
    return refuse(ReasonCode::kCpuTimer, "RLIMIT_CPU");
  for (const int which : {ITIMER_VIRTUAL, ITIMER_PROF}) {
    itimerval left{};
    const auto got = OM_MUST(
        stop.call(t, *home.target, stack, SYS_getitimer, {static_cast<uint64_t>(which), scratch}));
    OM_MUST_VOID(home.target->memory.read(scratch, std::as_writable_bytes(std::span(&left, 1))));
    if (got == 0 && (left.it_value.tv_sec != 0 || left.it_value.tv_usec != 0)) {
      return refuse(ReasonCode::kCpuTimer, "{}",
                    which == ITIMER_PROF ? "ITIMER_PROF" : "ITIMER_VIRTUAL");
    }
  }
  // Not there without CONFIG_CHECKPOINT_RESTORE.
  if (auto timers = proc::read_cpu_timers(home.pid); timers && *timers > 0) {
    return refuse(ReasonCode::kCpuTimer, "timer_create");
  }
  return Done{};
}

// Asks, in the main thread, what the kernel does to the instructions and mappings of the program.
Verdict<Settings> ask_settings(const HomeSide& home, StoppedProcess& stop, StoppedThread& t,
                               uint64_t stack, uint64_t scratch) {
  Settings settings;
  constexpr uint64_t kGetCpuid = 0x1011, kGetMdwe = 66;  // ARCH_GET_CPUID, PR_GET_MDWE
  const int32_t allowed = PR_TSC_ENABLE;
  OM_MUST_VOID(home.target->memory.put(scratch, allowed));
  OM_MUST(stop.call(t, *home.target, stack, SYS_prctl, {PR_GET_TSC, scratch, 0, 0, 0}));
  if (OM_MUST(home.target->memory.get<int32_t>(scratch)) != allowed)
    return refuse(ReasonCode::kOwnTraps, "the time stamp counter");
  if (OM_MUST(stop.call(t, *home.target, stack, SYS_arch_prctl, {kGetCpuid, 0})) == 0)
    return refuse(ReasonCode::kOwnTraps, "CPUID");
  settings.denies_exec =
      OM_MUST(stop.call(t, *home.target, stack, SYS_prctl, {kGetMdwe, 0, 0, 0, 0})) > 0;
  settings.brk_now =
      static_cast<uint64_t>(OM_MUST(stop.call(t, *home.target, stack, SYS_brk, {0})));
  return settings;
}

// Writes the frame first, so that the thread finds its way if we die between two steps.
Step note_frame(const HomeSide& home, const StoppedThread& t, const ThreadPlan& plan,
                HomeThread& h) {
  const uint32_t i = plan.state.slot;
  const uint64_t slot = slot_address(home.arena, i);
  const bool late = plan.at_home == AtHome::kLate;
  if (late) h = OM_MUST(home.target->thread(home.arena, i));
  h.state = kSlotUsed;
  h.slot = i;
  h.tid = plan.state.tid;
  h.channel.fd = -1;
  h.kernel.rseq_address = plan.state.kernel.rseq_address;  // the alternate stack is asked for later
  h.kernel.rseq_size = plan.state.kernel.rseq_size;
  h.kernel.rseq_signature = plan.state.kernel.rseq_signature;
  // (A late thread's executor goes on: it resumes the program itself.)
  h.frame_valid = late ? kFrameExecutor : kFrameProgram;
  if (late) {
    OM_MUST_VOID(home.target->memory.put(slot + kSlotExecFrame, executor_frame(t)));
  } else {
    ResumeFrame frame = frame_of(plan.resume, plan.state.kernel.sigmask);
    frame.pad[kFrameRewound] = plan.at_home == AtHome::kRestart || plan.at_home == AtHome::kReissue;
    frame.pad[kFrameWaits] = plan.state.kind == kThreadWaiting;
    frame.pad[kFrameNr] = plan.state.nr;
    std::copy(std::begin(plan.state.args), std::end(plan.state.args), frame.pad + kFrameArgs);
    if (t.ahead) {
      frame.pad[kFrameAheadRip] = t.ahead->rip;
      frame.pad[kFrameAheadRsp] = t.ahead->rsp;
    }
    OM_MUST_VOID(home.target->memory.put(slot + kSlotFrame, frame));
    OM_MUST_VOID(home.target->memory.write(slot + kSlotFrame + kFrameXsave, t.xstate));
  }
  OM_MUST_VOID(home.target->put_thread(home.arena, i, h));
  return Done{};
}

// Asks what only the thread itself can tell: alternate stack, clear_child_tid.
Step ask_thread(const HomeSide& home, StoppedProcess& stop, StoppedThread& t, ThreadPlan& plan) {
  const uint32_t i = plan.state.slot;
  const uint64_t slot = slot_address(home.arena, i), scratch = slot + kScratch,
                 stack = home.stack_of(i);
  const bool late = plan.at_home == AtHome::kLate;
  HomeThread h{};
  OM_TRY(note_frame(home, t, plan, h));
  struct {
    uint64_t sp;
    int32_t flags, pad;
    uint64_t size;
    uint64_t ctid;
  } answer{};
  auto got = OM_MUST(stop.call(t, *home.target, stack, SYS_sigaltstack, {0, scratch}));
  if (got != 0) return refuse(ReasonCode::kInternal, "sigaltstack in thread {}: {}", t.tid, got);
  got = OM_MUST(
      stop.call(t, *home.target, stack, SYS_prctl, {PR_GET_TID_ADDRESS, scratch + 24, 0, 0, 0}));
  OM_MUST_VOID(home.target->memory.read(scratch, std::as_writable_bytes(std::span(&answer, 1))));
  plan.state.kernel.ctid = got == 0 ? answer.ctid : 0;
  if (!late) {
    OM_MUST_VOID(home.target->memory.put(
        slot + kSlotFrame + offsetof(ResumeFrame, pad) + kFrameCtid * sizeof(uint64_t),
        plan.state.kernel.ctid));
  }
  constexpr int32_t kDisable = 2, kAutodisarm = static_cast<int32_t>(1u << 31);
  if (!(answer.flags & kDisable)) {
    plan.state.kernel.altstack[0] = answer.sp;
    plan.state.kernel.altstack[1] = static_cast<uint32_t>(answer.flags & kAutodisarm);
    plan.state.kernel.altstack[2] = answer.size;
  }
  h.kernel = plan.state.kernel;
  if (h.kernel.altstack[2] == 0) h.kernel.altstack[1] = kDisable;
  OM_MUST_VOID(home.target->put_thread(home.arena, i, h));
  return Done{};
}

}  // namespace

Verdict<Settings> ask_threads(HomeSide& home, StoppedProcess& stop, ThreadPlans& plans) {
  const auto leader = proc::read_status(home.pid);
  home.inner_pid = leader && !leader->ns_pids.empty() ? leader->ns_pids.back() : home.pid;
  for (size_t i = 0; i < plans.threads.size(); i++)
    OM_TRY(ask_thread(home, stop, stop.threads()[i], plans.threads[i]));
  StoppedThread& t = stop.threads().front();
  const uint64_t scratch = slot_address(home.arena, 0) + kScratch, stack = home.stack_of(0);
  OM_TRY(ask_cpu_timers(home, stop, t, stack, scratch));
  return ask_settings(home, stop, t, stack, scratch);
}

}  // namespace om::deputy

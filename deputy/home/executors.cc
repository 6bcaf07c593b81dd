// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/executors.h"

#include <errno.h>
#include <sys/syscall.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "deputy/home/connect_socket.h"
#include "deputy/home/frames.h"
#include "libom/abi/anchor.h"
#include "libom/abi/home.h"
#include "libom/abi/memory.h"
#include "libom/abi/waiting.h"

namespace om::deputy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kSettleLimit = std::chrono::seconds(5);
constexpr auto kNap = std::chrono::microseconds(100);
constexpr int64_t kErestartsys = -512, kErestartnointr = -513, kErestartnohand = -514,
                  kErestartBlock = -516;

bool is_restart(int64_t rax) {
  return rax == kErestartsys || rax == kErestartnointr || rax == kErestartnohand ||
         rax == kErestartBlock;
}

// For a call that was carried over, the kernel has written what is left of its time to the program's memory at home,
// which the body's will replace: keeps it in the slot (copy_back_times).
Step keep_time(const Target& target, uint64_t arena, HomeThread h) {
  const uint32_t arg = h.call.transplanted ? time_left_at(h.call.exec_nr) : 0;
  if (arg == 0 || h.call.exec_args[arg] == 0) return Done{};
  const auto bytes = std::as_writable_bytes(std::span(h.timespec));
  if (!target.memory.read(h.call.exec_args[arg], bytes)) return Done{};
  OM_MUST_VOID(target.memory.write(
      target.thread_address(arena, h.slot) + offsetof(HomeThread, timespec), bytes));
  return Done{};
}

// Whether the executor has stopped where it can be left. Preconditions: `t.regs` are fresh; its stack is in the arena.
Verdict<bool> is_at_rest(const HomeSide& home, const StoppedThread& t, Unbegun unbegun) {
  const Anchor& a = home.target->anchor;
  const uint32_t slot = home.slot_of(t);
  const HomeThread h = OM_MUST(home.target->thread(home.arena, slot));
  const auto rax = static_cast<int64_t>(t.regs.rax);
  bool stable = h.phase == kExecIdle || h.phase == kExecHeld;
  if (h.phase == kExecTicket && unbegun == Unbegun::kForget)
    stable = t.in_call() && is_restart(rax) && t.regs.orig_rax == SYS_futex;
  // On the way to a new channel: only where it has no descriptors but those with numbers of libom's.
  if (h.phase == kExecFetch) {
    stable = t.in_call() && is_restart(rax) &&
             (t.regs.orig_rax == SYS_nanosleep || t.regs.orig_rax == SYS_restart_syscall ||
              t.regs.orig_rax == SYS_recvmsg);
  }
  // A twin whose body thread has ended frees its slot when it is gone, not before.
  if (h.call.nr == kNrExitTwin && h.call.finished && h.phase != kExecHeld) stable = false;
  if (h.phase == kExecCall) {
    const bool there = t.regs.rip == a.window_end || t.regs.rip == a.transplant_end;
    stable = there && t.in_call() && (is_restart(rax) || rax == -EINTR);
    // Nothing but our stop interrupts it: if it has to go on by itself, it must know.
    const uint32_t one = 1;
    OM_MUST_VOID(home.target->memory.put(
        home.target->thread_address(home.arena, slot) + offsetof(HomeThread, interrupted), one));
  }
  if (stable && h.phase == kExecCall) OM_TRY(keep_time(*home.target, home.arena, h));
  return stable;
}

}  // namespace

Verdict<StoppedProcess> stop_executors(const HomeSide& home) {
  return StoppedProcess::stop(home.pid,
                              {.settle = false, .target = &*home.target, .patient = true});
}

Step settle_executors(HomeSide& home, StoppedProcess& stop, Unbegun unbegun) {
  // One may be waiting for a deputy to talk to.
  OM_TRY(meet(home, stop));
  const Deadline deadline = Clock::now() + kSettleLimit;
  for (;;) {
    bool moving = false;
    for (auto& t : stop.threads()) {
      if (t.tracee.gone()) continue;
      t.regs = OM_MUST(t.tracee.regs());
      const uint64_t lo = home.arena + kControlSize;
      if (t.regs.rsp < lo || t.regs.rsp >= home.arena + arena_bytes(home.state.nslots))
        return refuse(ReasonCode::kInternal, "thread {} has left libom", t.tid);
      if (OM_TRY(is_at_rest(home, t, unbegun))) continue;
      moving = true;
      t.tracee.resume();
    }
    if (!moving) break;
    if (Clock::now() > deadline)
      return refuse(ReasonCode::kUninterruptible, "an executor does not come to rest");
    std::this_thread::sleep_for(kNap);
    for (auto& t : stop.threads()) {
      if (t.tracee.stopped() || t.tracee.gone()) continue;
      t.tracee.interrupt();
      if (!t.tracee.wait_stop(deadline))
        return refuse(ReasonCode::kUninterruptible, "thread {}", t.tid);
    }
  }
  std::erase_if(stop.threads(), [](const StoppedThread& t) { return t.tracee.gone(); });
  return Done{};
}

Step guard_executor(const HomeSide& home, StoppedThread& t) {
  const uint64_t slot = slot_address(home.arena, home.slot_of(t));
  t.kernel.sigmask =
      OM_MUST(t.tracee.signal_mask());  // some have run since they were first stopped
  OM_MUST_VOID(home.target->memory.put(slot + kSlotExecFrame, executor_frame(t)));
  const uint32_t kind = kFrameExecutor;
  OM_MUST_VOID(
      home.target->memory.put(slot + kSlotBlock + offsetof(HomeThread, frame_valid), kind));
  return Done{};
}

Step guard_executors(const HomeSide& home, StoppedProcess& stop) {
  for (auto& t : stop.threads()) OM_TRY(guard_executor(home, t));
  return Done{};
}

Step hold_executors(const HomeSide& home) {
  const uint32_t hold = 1;
  OM_MUST_VOID(home.target->put_home_field(offsetof(HomeState, hold), hold));
  return Done{};
}

void let_executors_answer(const HomeSide& home) {
  const uint32_t off = 0;
  if (home.target && home.state.phase == kHomeAway)
    (void)home.target->put_home_field(offsetof(HomeState, hold), off);
}

Result<std::vector<Range>> executor_memory(const HomeSide& home) {
  std::vector<Range> ranges;
  for (uint32_t i = 0; i < home.state.slots_ready; i++) {
    const HomeThread h = OM_TRY(home.target->thread(home.arena, i));
    if (h.bounce_bytes != 0)
      ranges.push_back({h.bounce_address, h.bounce_address + h.bounce_bytes});
    if (h.message_bytes != 0)
      ranges.push_back({h.message_address, h.message_address + h.message_bytes});
  }
  return ranges;
}

}  // namespace om::deputy

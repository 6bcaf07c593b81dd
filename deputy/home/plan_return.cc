// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/plan_return.h"

#include <errno.h>
#include <string.h>

#include <algorithm>

#include "deputy/base/host.h"
#include "deputy/home/continue.h"
#include "gen/syscalls_desc.h"
#include "libom/abi/home.h"
#include "libom/abi/thread.h"
#include "libom/abi/waiting.h"

namespace om::deputy {
namespace {

constexpr int64_t kErestartBlock = -516;

void load_regs(const ThreadState& s, user_regs_struct& r) {
  unsigned long long* const in_order[] = {&r.r8,  &r.r9,  &r.r10, &r.r11, &r.r12, &r.r13,
                                          &r.r14, &r.r15, &r.rdi, &r.rsi, &r.rbp, &r.rbx,
                                          &r.rdx, &r.rax, &r.rcx, &r.rsp, &r.rip, &r.eflags};
  for (size_t i = 0; i < std::size(in_order); i++) *in_order[i] = s.regs[i];
  r.eflags |= 0x202;
  r.fs_base = s.kernel.fs_base;
  r.cs = 0x33;
  r.ss = 0x2b;
  r.ds = r.es = r.fs = r.gs = 0;
  r.gs_base = 0;
}

// Calls that replace the signal mask while they wait: restarted natively while a signal is pending, they run its
// handler and return EINTR by themselves.
bool has_own_mask(uint32_t nr) { return wait_desc(nr).mask != MaskAt::kNone; }

// Puts the remaining time of a reissued call into its timeout argument.
void shorten(user_regs_struct& r, uint32_t nr, uint64_t deadline_ns) {
  const TimeoutAt at = timeout_of(nr);
  if (deadline_ns == 0 || at.kind != Timeout::kMillis) return;
  const auto now = static_cast<int64_t>(now_ns(CLOCK_MONOTONIC));
  const int64_t left = std::max<int64_t>(static_cast<int64_t>(deadline_ns) - now, 0);
  unsigned long long* const args[] = {&r.rdi, &r.rsi, &r.rdx, &r.r10, &r.r8, &r.r9};
  *args[at.arg] = static_cast<uint64_t>((left + 999999) / 1000000);
}

// Whether the program's memory has no place for what remains of the call: then libom goes on with it at home.
bool ends_in_libom(const HomeExec& e, uint32_t nr) {
  const bool points_at_time = timeout_of(nr).kind == Timeout::kTimespec;
  return e.done > 0 || e.exec_nr != e.nr || (points_at_time && e.deadline_ns != 0);
}

void rewind(user_regs_struct& r, uint32_t nr) {
  r.rip -= 2;
  r.rax = nr;
}

// The kernel writes the remaining time of an interrupted select or ppoll to its argument: ours for a call that the body
// has made; for one carried over, the program's memory at home, which the body's has replaced by now.
void copy_back_times(const HomeSide& home, const HomeThread& h, uint32_t nr) {
  const uint32_t arg = time_left_at(nr);
  if (arg == 0 || h.call.program_args[arg] == 0 || h.call.exec_args[arg] == 0) return;
  std::byte time[sizeof h.timespec];
  if (home.hits_libom(h.call.program_args[arg], sizeof time)) return;
  if (h.call.transplanted) {
    memcpy(time, h.timespec, sizeof time);
  } else if (!home.target->memory.read(h.call.exec_args[arg], time)) {
    return;
  }
  (void)home.target->memory.write(h.call.program_args[arg], time);
}

// A call that still blocks goes on in the program, or in libom where the program has no place for what remains of it.
void plan_blocked(const HomeSide& home, const StoppedThread& t, const HomeThread& h, uint32_t nr,
                  ThreadReturn& r) {
  const HomeExec& e = h.call;
  const auto rax = static_cast<int64_t>(t.regs.rax);
  // The program waits out the rest of a socket's timeout.
  if (e.done == 0 && socket_wait_of(nr, e.program_args).waits &&
      (rax == -EINTR || e.exec_nr != e.nr)) {
    user_regs_struct call = r.regs;
    call.orig_rax = nr;
    call.rax = static_cast<uint64_t>(-EINTR);
    const double waited =
        e.started_ns != 0 ? static_cast<double>(now_ns(CLOCK_MONOTONIC) - e.started_ns) / 1e6 : 0;
    if (continue_call(*home.target, waited, call)) {
      r.regs = call;
      return;
    }
  }
  if (ends_in_libom(e, nr)) {
    r.late = true;
    return;
  }
  if (rax == -EINTR) {
    // The kernel has forgotten how long it had waited: reissue it with what remains.
    rewind(r.regs, nr);
    shorten(r.regs, nr, e.deadline_ns);
    return;
  }
  // The kernel restarts it at the program's own instruction, with the program's own arguments.
  r.regs.orig_rax = nr;
  r.regs.rax = static_cast<uint64_t>(rax);
  // select and ppoll keep their remaining time in memory that the program has, too.
  if (rax != kErestartBlock) copy_back_times(home, h, nr);
}

}  // namespace

Verdict<ThreadReturn> plan_return(const HomeSide& home, const StoppedThread& t, const HomeThread& h,
                                  const ThreadState& s) {
  ThreadReturn r;
  r.regs = t.regs;
  load_regs(s, r.regs);
  r.regs.orig_rax = ~0ull;
  r.sigmask = s.kernel.sigmask;
  // Signals that the body does not know about, or whose Return it has not received.
  uint32_t from = h.noted_tail;
  if (h.call.seq != 0 && s.returned >= h.call.seq) from += h.noted_sent;
  for (uint32_t i = from; i != h.noted_head && r.signals.size() < kMaxNoted; i++) {
    r.signals.push_back(h.noted[i % kMaxNoted]);
  }
  if (h.core.number >= 1 && h.core.number <= 64) r.signals.push_back(h.core);
  if (!r.signals.empty()) r.sigmask = r.signals.front().frame_mask;

  const bool waiting = s.kind == kThreadWaiting && s.nr < kNrResume;
  if (!waiting) return r;
  const HomeExec& e = h.call;
  const uint32_t nr = s.nr;
  if (e.seq != s.seq)
    return refuse(ReasonCode::kInternal, "thread {} waits for a call that home does not know",
                  h.tid);
  const bool blocked = h.phase == kExecCall;
  if (!blocked) {
    if (!e.finished)
      return refuse(ReasonCode::kInternal, "thread {} waits for a call that is not finished",
                    h.tid);
    if (e.ret_flags & kRetRestart) {
      rewind(r.regs, nr);
    } else if (e.ret_flags & kRetEintr) {
      if (has_own_mask(nr)) {
        rewind(r.regs, nr);
      } else {
        r.regs.rax = static_cast<uint64_t>(-EINTR);
      }
    } else {
      r.regs.rax = static_cast<uint64_t>(e.result);
      r.apply = true;
    }
    return r;
  }
  plan_blocked(home, t, h, nr, r);
  return r;
}

}  // namespace om::deputy

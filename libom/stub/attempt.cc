// SPDX-License-Identifier: Apache-2.0
//
// Calls that are made although signals wait for their Return. As a rule such a call is called off: the handlers run
// first, then the program's instruction runs again. Where signals come faster than a round trip takes, the next ones
// are there by then, and it would never be made. So the gate asks that one that was called off be made the next time
// (kCallTry), as if the signals had come right behind its beginning: what is there already is taken, and what would
// wait ends as the kernel ends it for a signal. No call can be entered with a signal pending that is let in, so that a
// timer (the tick) interrupts the thread a moment later.
//
// The tick is SIGSYS. Its disposition is the catcher's whatever the program does, unless that has a handler for it or
// ignores it; then no call is tried. It is never seen by anybody but the catcher (is_tick), which ends the window.
// The deputy waits for the end of an attempt (HomeThread::trying): none is left behind in a process that is home.
#include "libom/abi/kernel.h"
#include "libom/abi/wire.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/stub/stub.h"

namespace om::stub {
namespace {

using safe::sys;

constexpr int64_t kTickNs = 3000000;
constexpr uint32_t kMostNoted = kMaxNoted / 2;  // room for what comes during an attempt
constexpr int32_t kSiUser = 0, kSiQueue = -1, kSiTimer = -2, kSiTkill = -6, kSiKernel = 0x80;
constexpr uint32_t kSigAlrm = 14;

uint64_t swap_mask(uint64_t mask) {
  uint64_t old = 0;
  sys(kNr_rt_sigprocmask, k::kSigSetmask, &mask, &old, 8);
  return old;
}

const SignalRecord& record(const HomeThread* t, uint32_t index) {
  return t->noted[index % kMaxNoted];
}

// Calls with a mask of their own: what that lets in has to find the thread in them.
bool has_own_mask(uint32_t nr) {
  return nr == kNr_rt_sigsuspend || nr == kNr_ppoll || nr == kNr_pselect6 ||
         nr == kNr_epoll_pwait || nr == kNr_epoll_pwait2;
}

long start_tick(HomeThread* t) {
  struct {
    uint64_t value;
    int32_t signo, notify, tid;
    int32_t pad[11];
  } event{};
  static_assert(sizeof event == 64);
  constexpr int32_t kSigevThreadId = 4;
  event.value = reinterpret_cast<uint64_t>(t);
  event.signo = static_cast<int32_t>(k::kSIGSYS);
  event.notify = kSigevThreadId;
  event.tid = static_cast<int32_t>(sys(kNr_gettid));
  const long r = sys(kNr_timer_create, k::kClockMonotonic, &event, &t->tick_timer);
  if (r != 0) return r;
  const int64_t once[4] = {0, 0, 0, kTickNs};  // struct itimerspec
  sys(kNr_timer_settime, t->tick_timer, 0, once, 0);
  return 0;
}

// All signals are blocked: a tick that has come too late is taken back. One of somebody else's is not ours to take.
void stop_tick(HomeThread* t) {
  sys(kNr_timer_delete, t->tick_timer);
  const uint64_t set = k::sig_bit(k::kSIGSYS);
  const k::Timespec now{};
  k::Siginfo info{};
  const long sig = sys(kNr_rt_sigtimedwait, &set, &info, &now, 8);
  if (sig == static_cast<long>(k::kSIGSYS) && !is_tick(t, info))
    sys(kNr_rt_tgsigqueueinfo, sys(kNr_getpid), sys(kNr_gettid), sig, &info);
}

}  // namespace

// Context: exec, catch
bool is_tick(const HomeThread* t, const k::Siginfo& info) {
  return info.signo == static_cast<int32_t>(k::kSIGSYS) && info.code == kSiTimer &&
         info.fields[1] == reinterpret_cast<uint64_t>(t);
}

// Context: exec
bool may_try(uint32_t nr) {
  if (nr == kNr_execve || nr == kNr_execveat || has_own_mask(nr)) return false;
  if (nr == kNr_rt_sigpending) return false;  // looks at the mask, which is that of the handlers
  return nr != kNrSetMask && nr != kNrFault;
}

// Context: exec
bool begin_attempt(HomeThread* t) {
  const uint64_t sys_bit = k::sig_bit(k::kSIGSYS);
  if (t->choked || noted(t) > kMostNoted || (record(t, t->noted_tail).frame_mask & sys_bit) != 0 ||
      g_home.actions[k::kSIGSYS].handler != k::kSigDfl)
    return false;
  const uint64_t mask = swap_mask(~uint64_t{0});
  if (start_tick(t) != 0) {
    swap_mask(mask);
    return false;
  }
  t->trying = 1;
  asm volatile("" : : : "memory");
  // As for the handlers that wait, but for the tick: what they keep out stays in the kernel's order.
  swap_mask(mask & ~sys_bit);
  return true;
}

// Context: exec
void end_attempt(HomeThread* t) {
  swap_mask(~uint64_t{0});
  stop_tick(t);
  asm volatile("" : : : "memory");
  t->trying = 0;
  // The handlers have not run: the thread has the mask of the last one again.
  if (!t->choked) swap_mask(record(t, t->noted_head - 1).handler_mask);
}

// What comes at a time of its own: a timer's, and what another process sends. It may as well come a moment later.
// Context: exec
bool may_come_later(const HomeThread* t) {
  const long own = sys(kNr_getpid);
  for (uint32_t i = t->noted_tail; i != t->noted_head; i++) {
    const SignalRecord& s = record(t, i);
    const auto info = safe::load<k::Siginfo>(s.info);
    const bool sent = info.code == kSiUser || info.code == kSiQueue || info.code == kSiTkill;
    const bool others = sent && static_cast<int32_t>(info.fields[0]) != own;
    const bool timers = info.code == kSiTimer || (s.number == kSigAlrm && info.code == kSiKernel);
    if (!others && !timers) return false;
  }
  return true;
}

}  // namespace om::stub

// SPDX-License-Identifier: Apache-2.0
//
// The call itself, in a window in which a signal cancels it before it blocks. The native effects of the deputy's stop
// on a blocking call (EINTR where Linux keeps no restart state, short transfers) are repaired here and never reach the
// program.
#include "libom/stub/window.h"

#include "libom/abi/kernel.h"
#include "libom/abi/waiting.h"
#include "libom/safe/atomic.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/stub/program_memory.h"
#include "libom/stub/rest.h"
#include "libom/stub/signal.h"
#include "libom/stub/stub.h"

namespace om::stub {

int (*g_vdso_clock_gettime)(int clock, k::Timespec* ts) = nullptr;

namespace {

using safe::kAborted;
using safe::sys;

constexpr int64_t kNsPerSec = 1000000000;

int64_t now_ns() {
  k::Timespec ts{};
  if (g_vdso_clock_gettime == nullptr || g_vdso_clock_gettime(k::kClockMonotonic, &ts) != 0)
    sys(kNr_clock_gettime, k::kClockMonotonic, &ts);
  return ts.sec * kNsPerSec + ts.nsec;
}

// When the call's timeout ends it, from its arguments; 0 if it has none.
uint64_t deadline_of(HomeThread* t) {
  const HomeExec& e = t->call;
  // A timeout that is checked after each message: only the time left after a stop has to be right.
  const uint32_t between = wait_desc(e.exec_nr).between;
  const TimeoutAt at =
      between != 0 ? TimeoutAt{Timeout::kTimespec, between} : timeout_of(e.exec_nr);
  if (is_bad(e, at.arg)) return 0;
  if (at.kind == Timeout::kMillis) {
    const auto ms = static_cast<int32_t>(e.exec_args[at.arg]);
    return ms > 0 ? static_cast<uint64_t>(now_ns() + int64_t{ms} * 1000000) : 0;
  }
  if (at.kind == Timeout::kTimespec && e.exec_args[at.arg] != 0) {
    k::Timespec ts{};
    if (!read_memory(t, &ts, e.exec_args[at.arg], sizeof ts)) return 0;
    if (ts.sec < 0 || ts.nsec < 0 || ts.nsec >= kNsPerSec || ts.sec > 1000000000) return 0;
    return static_cast<uint64_t>(now_ns() + ts.sec * kNsPerSec + ts.nsec);
  }
  return 0;
}

// Puts the remaining time into the arguments of a call that is issued again.
void shorten(HomeThread* t) {
  HomeExec& e = t->call;
  if (e.deadline_ns == 0) return;
  int64_t left = static_cast<int64_t>(e.deadline_ns) - now_ns();
  if (left < 0) left = 0;
  const TimeoutAt at = timeout_of(e.exec_nr);
  if (at.kind == Timeout::kMillis) {
    e.exec_args[at.arg] = static_cast<uint64_t>((left + 999999) / 1000000);
  } else if (at.kind == Timeout::kTimespec) {
    t->timespec[0] = static_cast<uint64_t>(left / kNsPerSec);
    t->timespec[1] = static_cast<uint64_t>(left % kNsPerSec);
    e.exec_args[at.arg] = reinterpret_cast<uint64_t>(t->timespec);
  }
}

}  // namespace

// Context: exec
uint64_t monotonic_ns() { return static_cast<uint64_t>(now_ns()); }

// Context: exec
long window(HomeThread* t) {
  HomeExec& e = t->call;
  t->cancel = 0;
  asm volatile("" : : : "memory");
  t->phase = kExecCall;
  asm volatile("" : : : "memory");
  // A signal that came before the phase was set, however long before, has not cancelled the window: only the ring
  // shows it.
  if (noted(t) > t->noted_sent && (e.wire_flags & kCallSignals)) t->cancel = 1;
  const long r = om_window(&t->cancel, e.exec_nr, e.exec_args);
  t->phase = kExecBusy;
  return r;
}

// Context: exec
bool was_stopped(HomeThread* t) {
  const bool told = safe::exchange(&t->interrupted, 0u) != 0;
  return told || safe::load_acquire(&g_home.hold) != 0;
}

// Context: exec
bool is_stopped(HomeThread* t) {
  return safe::load_acquire(&t->interrupted) != 0 || safe::load_acquire(&g_home.hold) != 0;
}

// Context: exec
long after_window(HomeThread* t, const SyscallDesc* desc, long r) {
  HomeExec& e = t->call;
  const bool blocks = desc != nullptr && (desc->effects & kEffBlock) != 0;
  for (;;) {
    const bool signalled = (e.wire_flags & kCallSignals) && noted(t) > t->noted_sent;
    if (r == kAborted || r == -k::kEINTR) {
      if (signalled) {
        e.ret_flags |= r == kAborted ? kRetRestart : kRetEintr;
        return -k::kEINTR;
      }
      const bool stopped = was_stopped(t);
      if (r == -k::kEINTR && !(stopped && blocks)) return r;  // the call's own answer
      if (r == -k::kEINTR && has_socket_timeout(t)) {
        r = do_rest_of_call(t, 0);
        if (r == -k::kEINTR) continue;
        safe::store_release(&t->interrupted, 0u);
        return r;
      }
      shorten(t);
      r = window(t);
      continue;
    }
    if (r > 0 && !signalled && is_stopped(t) && is_cut_short(t, r)) {
      r = do_rest_of_call(t, r);
    }
    safe::store_release(&t->interrupted, 0u);
    return r;
  }
}

// Context: exec
long run_window(HomeThread* t, const SyscallDesc* desc) {
  HomeExec& e = t->call;
  e.deadline_ns = deadline_of(t);
  if (socket_wait_of(e.nr, e.exec_args).waits) e.started_ns = monotonic_ns();
  e.timed = desc != nullptr && (desc->effects & kEffBlock) != 0;
  return after_window(t, desc, window(t));
}

}  // namespace om::stub

// SPDX-License-Identifier: Apache-2.0
//
// Executes one Call at home. The kernel sees an ordinary call of the original thread: same pid, tid, mask,
// descriptors, credentials. What a stop by the deputy does to a blocking call natively (EINTR where Linux
// keeps no restart state, short transfers) is repaired here and never reaches the program.
#include "libom/abi/kernel.h"
#include "libom/abi/msgwire.h"
#include "libom/abi/waiting.h"
#include "libom/safe/atomic.h"
#include "libom/safe/marshal.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/row.h"
#include "libom/safe/syscall.h"
#include "libom/stub/functions.h"
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

// The moment such a call ends, from its arguments; 0 if it has no end.
uint64_t deadline_of(HomeThread* t) {
  const HomeExec& e = t->call;
  // recvmmsg's is looked at behind each message: only what is left of it after a stop is to be right.
  const TimeoutAt at =
      e.exec_nr == kNr_recvmmsg ? TimeoutAt{Timeout::kTimespec, 4} : timeout_of(e.exec_nr);
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

bool is_pure(const SyscallDesc* desc) { return desc != nullptr && (desc->effects & kEffPure) != 0; }

void note_effect() {
  if (safe::load_acquire(&g_home.effectful) != 0) return;
  safe::store_release(&g_home.effectful, 1u);
  tell_deputy(kHomeEffect, 0, 0);
}

// May a Call with this row run here. What the gate answers itself it sends home for a part of the cases only, all
// of which read; what the body's kernel, or the way home, is for would act on the executor.
bool is_forwarded(const SyscallDesc& row, const safe::Row& resolved) {
  switch (row.route) {
    case Route::kFwd:
    case Route::kSplit:
      return resolved.route == Route::kFwd || resolved.route == Route::kSplit;
    case Route::kLocal:
    case Route::kVirt: {
      if ((row.effects & kEffPure) == 0) return false;
      bool raw = false;
      for (uint32_t i = 0; i < row.nargs; i++)
        raw |= row.args[i].kind == ArgKind::kVal && row.args[i].type == ArgType::kPtr;
      return !raw;
    }
    case Route::kUnknown:
    case Route::kHome:
    case Route::kDeny:
      break;
  }
  return false;
}

// Arguments that are descriptors of ours do not exist for the program.
bool names_our_descriptor(const HomeCall& c) {
  for (uint32_t i = 0; i < c.desc->nargs; i++) {
    const ArgDesc& a = c.desc->args[i];
    if (a.kind == ArgKind::kVal && (a.type == ArgType::kFd || a.type == ArgType::kAtFd) &&
        is_ours(c.args[i])) {
      return true;
    }
  }
  return false;
}

// pidfd_getfd() on the process itself has made a copy of a descriptor of ours: it is taken back.
bool copied_ours(const HomeCall& c) {
  constexpr long kKcmpFile = 0;
  if (c.exec->nr != kNr_pidfd_getfd || c.exec->result < 0 || !is_ours(c.args[1])) return false;
  const long pid = sys(kNr_getpid);
  if (sys(kNr_kcmp, pid, pid, kKcmpFile, c.exec->result, c.args[1]) != 0) return false;
  sys(kNr_close, c.exec->result);
  return true;
}

long execute_wire(HomeCall& c) {
  switch (c.exec->nr) {
    case kNrSignalPoll:
      return 0;
    case kNrWantHome:
      c.exec->no_answer = 1;
      tell_deputy(kHomeWantHome, c.thread->slot, c.args[0]);
      return 0;
    case kNrReadHome:
      return wire_read_home(c);
    case kNrFault:
      return wire_fault(c);
    case kNrSetMask:
      return wire_set_mask(c);
    case kNrCloneTwin:
      note_effect();
      return wire_clone_twin(c);
    case kNrTransfer:
      return wire_transfer(c);
    case kNrExitTwin:
      note_effect();
      return wire_exit_twin(c);
    default:
      return -k::kENOSYS;
  }
}

}  // namespace

// Context: exec
long window(HomeThread* t) {
  HomeExec& e = t->call;
  const uint32_t before = t->noted_head;
  t->cancel = 0;
  asm volatile("" : : : "memory");
  t->phase = kExecCall;
  asm volatile("" : : : "memory");
  // A signal that came before the phase was set has not called the window off.
  if (t->noted_head != before && (e.wire_flags & kCallSignals)) t->cancel = 1;
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
const SyscallDesc* row_of(HomeThread* t, SyscallDesc& storage) {
  const SyscallDesc& desc = syscall_desc(t->call.nr);
  if (desc.route == Route::kUnknown) return nullptr;
  const safe::Row row = safe::resolve_row(desc, t->call.program_args, storage);
  return row.desc;
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
uint64_t monotonic_ns() { return static_cast<uint64_t>(now_ns()); }

// Context: exec
long run_window(HomeThread* t, const SyscallDesc* desc) {
  HomeExec& e = t->call;
  e.deadline_ns = deadline_of(t);
  if (socket_wait_of(e.nr, e.exec_args).waits) e.started_ns = monotonic_ns();
  e.timed = desc != nullptr && (desc->effects & kEffBlock) != 0;
  return after_window(t, desc, window(t));
}

// Context: exec
long generic(HomeCall& c) {
  HomeExec& e = *c.exec;
  if (names_our_descriptor(c)) return e.result = -k::kEBADF;
  if (needs_object(c) || (g_home.memory_files != 0 && transfers_own_memory(c))) {
    e.ret_flags |= kRetRestart | kRetHome;
    return e.result = -k::kEINTR;
  }
  const long r = unpack(c);
  if (r != 0) return e.result = r;
  e.result = run_window(c.thread, c.desc);
  if (e.result == -k::kEINVAL) again_aligned(c);
  if (copied_ours(c)) return e.result = -k::kEBADF;
  pack(c.thread, *c.desc);
  return e.result;
}

// Context: exec
void execute(HomeCall& c) {
  HomeThread* t = c.thread;
  HomeExec& e = *c.exec;
  if (e.nr >= kNrResume) {
    e.result = execute_wire(c);
    e.ret_flags |= c.extra_flags;
    return;
  }
  const SyscallDesc& row = syscall_desc(e.nr);
  safe::normalize_args(row, c.args);
  if (!is_forwarded(row, safe::resolve_row(row, c.args, c.command_desc))) {
    // No gate sends these; whoever did gets what an unknown call gets.
    safe::fetch_add(&g_home.unknown_calls, 1);
    e.result = -k::kENOSYS;
    return;
  }
  for (int i = 0; i < 6; i++) e.program_args[i] = c.args[i];
  c.desc = row_of(t, c.command_desc);
  if (!is_pure(c.desc)) note_effect();
  if (row.home_fn != 0) {
    // These look at the memory themselves; a gate comes home when it is bad.
    if (c.wire_flags / kCallBad != 0) {
      e.result = -k::kEPROTO;
      return;
    }
    e.result = dispatch_home(row.home_fn, c);
    e.ret_flags |= c.extra_flags;
    return;
  }
  generic(c);
}

}  // namespace om::stub

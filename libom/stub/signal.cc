// SPDX-License-Identifier: Apache-2.0
//
// Caught signals at home while the program is away. The kernel has decided everything (which thread, whether
// the interrupted call restarts); the catcher only notes what the program's handler would have received, and
// makes sure that the body learns of it: in the Return of the call it is in, or by a kick.
//
// It returns with the mask that the program's handler would run with, so that a further signal nests or
// waits exactly as it would natively; the program's own return from the handler restores the mask.
//
// A signal that nobody handles and that ends the process with a core dump is caught, too: the dump has to contain the
// program's memory. The process comes home first and gets the signal again there.
//
// noted[] is a ring with one writer (the catcher) and one reader (the executor of the same thread).
#include "libom/stub/signal.h"

#include "libom/abi/kernel.h"
#include "libom/safe/atomic.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/stub/deputy_socket.h"
#include "libom/stub/program_memory.h"
#include "libom/stub/stub.h"
#include "libom/stub/window.h"

extern "C" void om_catcher(int sig, om::k::Siginfo* info, om::k::Ucontext* uc);

namespace om::stub {
namespace {

using safe::sys;

uint64_t address(const void* p) { return reinterpret_cast<uint64_t>(p); }

bool in_arena(uint64_t p) {
  return g_home.arena != 0 && p >= g_home.arena + kControlSize &&
         p < g_home.arena + arena_bytes(g_home.nslots);
}

// The mask under which the signal was delivered. The frame has the one to return to, which differs only if the signal
// has ended a call with a mask of its own.
uint64_t mask_at_delivery(const HomeThread* t, const k::Ucontext* uc) {
  const uint64_t rip = uc->mcontext.regs[kRip];
  const bool behind = rip == address(om_window_end) || rip == address(om_transplant_end);
  if (t->phase != kExecCall || !behind ||
      static_cast<int64_t>(uc->mcontext.regs[kRax]) != -k::kEINTR)
    return uc->sigmask;
  const HomeExec& e = t->call;
  const WaitDesc& w = wait_desc(e.exec_nr);
  uint64_t at = w.mask == MaskAt::kNone ? 0 : e.exec_args[w.mask_arg], mask = 0;
  if (w.mask == MaskAt::kBehind && (at == 0 || !read_memory(t, &at, at, sizeof at))) at = 0;
  if (at == 0 || !read_memory(t, &mask, at, sizeof mask)) return uc->sigmask;
  return mask & ~(k::sig_bit(k::kSIGKILL) | k::sig_bit(k::kSIGSTOP));
}

bool is_fault(int sig, const k::Siginfo& info) {
  constexpr uint64_t kFaults = k::sig_bit(k::kSIGILL) | k::sig_bit(k::kSIGTRAP) |
                               k::sig_bit(k::kSIGBUS) | k::sig_bit(k::kSIGFPE) |
                               k::sig_bit(k::kSIGSEGV) | k::sig_bit(k::kSIGSYS);
  return info.code > 0 && (kFaults & k::sig_bit(static_cast<uint32_t>(sig))) != 0;
}

// The process will end with a core dump. In an executor this waits until the memory is there; a fault in libom itself
// does not. The thread's current call goes on, or is issued again: the program has not been interrupted.
void catch_core(int sig, const k::Siginfo& info, const k::Ucontext& uc, HomeThread* t) {
  if (t == nullptr || is_fault(sig, info)) {
    const KernelSigaction dfl{};
    sys(kNr_rt_sigaction, sig, &dfl, 0, 8);
    // A faulting instruction faults again; any other signal has to be sent again.
    if (!is_fault(sig, info))
      sys(kNr_rt_tgsigqueueinfo, sys(kNr_getpid), sys(kNr_gettid), sig, &info);
    return;
  }
  if (t->core.number != 0) return;
  safe::set_bytes(&t->core, 0, sizeof t->core);
  t->core.frame_mask = t->core.handler_mask = uc.sigmask;
  safe::copy_bytes(t->core.info, &info, sizeof t->core.info);
  safe::store_release(&t->core.number, static_cast<uint32_t>(sig));
  safe::store_release(&t->interrupted, 1u);
  tell_deputy(kHomeWantHome, t->slot, 0);
}

void classify(HomeThread* t, k::Ucontext* uc) {
  uint64_t& rip = uc->mcontext.regs[kRip];
  if (rip >= address(om_window_lo) && rip < address(om_window_end)) rip = address(om_window_abort);
  if (rip == address(om_transplant)) rip = address(om_transplant_abort);
  t->cancel = 1;
}

}  // namespace

// Context: exec
uint32_t copy_noted(const HomeThread* t, SignalRecord* to, uint32_t room) {
  uint32_t n = noted(t);
  if (n > room) n = room;
  for (uint32_t i = 0; i < n; i++)
    safe::copy_bytes(&to[i], &t->noted[(t->noted_tail + i) % kMaxNoted], sizeof to[i]);
  return n;
}

// Context: exec
void drop_noted(HomeThread* t, uint32_t count) {
  t->noted_tail += count;
  if (t->choked && noted(t) == 0) {
    t->choked = 0;
    sys(kNr_rt_sigprocmask, k::kSigSetmask, &t->call_mask, 0, 8);
  }
}

// Context: exec
long install(uint32_t sig, const KernelSigaction& action) {
  if (sig < 1 || sig > 64 || sig == k::kSIGKILL || sig == k::kSIGSTOP) return -k::kEINVAL;
  KernelSigaction native = action;
  const bool core = action.handler == k::kSigDfl && (k::kCoreSignals & k::sig_bit(sig)) != 0;
  if (action.handler > k::kSigIgn || core) {
    native.handler = address(reinterpret_cast<const void*>(om_catcher));
    native.flags |= k::kSaSiginfo | k::kSaRestorer;
    // Nothing may interrupt it: two catchers would fill in one record, and there is stack for one.
    native.flags &= ~k::kSaNodefer;
    native.mask = ~uint64_t{0};
    native.restorer = address(om_restorer);
  }
  if (core) {
    native.flags = k::kSaSiginfo | k::kSaRestorer | k::kSaRestart;
    native.mask = ~uint64_t{0};
  }
  // The catcher may run before the call returns: update the table first.
  const KernelSigaction old = g_home.actions[sig];
  g_home.actions[sig] = action;
  const long r = sys(kNr_rt_sigaction, sig, &native, 0, 8);
  if (r != 0) g_home.actions[sig] = old;
  return r;
}

// Context: exec, catch
void reset_handler(uint32_t sig, const KernelSigaction& action) {
  if (!(action.flags & k::kSaResethand)) return;
  KernelSigaction reset = action;
  reset.handler = k::kSigDfl;
  install(sig, reset);
}

}  // namespace om::stub

using namespace om;
using namespace om::stub;

// Context: catch
void om_catcher(int sig, k::Siginfo* info, k::Ucontext* uc) {
  KernelSigaction& action = g_home.actions[sig];
  const bool executor = in_arena(uc->mcontext.regs[kRsp]);
  if (action.handler == k::kSigDfl) {
    const void* stack = reinterpret_cast<const void*>(uc->mcontext.regs[kRsp]);
    catch_core(sig, *info, *uc, executor ? thread_of(stack) : nullptr);
    return;
  }
  if (!executor) {
    // Not an executor (the time between a thread's return and the end of the session): call the program's handler.
    if (action.handler > k::kSigIgn) {
      reinterpret_cast<void (*)(int, void*, void*)>(action.handler)(sig, info, uc);
    }
    return;
  }
  HomeThread* t = thread_of(reinterpret_cast<const void*>(uc->mcontext.regs[kRsp]));
  SignalRecord& s = t->noted[t->noted_head % kMaxNoted];
  safe::set_bytes(&s, 0, sizeof s);
  s.number = static_cast<uint32_t>(sig);
  s.handler = action.handler;
  s.flags = action.flags;
  s.restorer = action.restorer;
  s.frame_mask = uc->sigmask;
  s.handler_mask = mask_at_delivery(t, uc) | action.mask |
                   ((action.flags & k::kSaNodefer) ? 0 : k::sig_bit(static_cast<uint32_t>(sig)));
  safe::copy_bytes(s.info, info, sizeof s.info);
  reset_handler(static_cast<uint32_t>(sig), action);
  uc->sigmask = s.handler_mask;
  asm volatile("" : : : "memory");
  t->noted_head++;
  if (noted(t) >= kMaxNoted - 1) {
    t->choked = 1;
    t->call_mask = s.handler_mask;
    uc->sigmask = ~uint64_t{0};
  }
  const uint32_t phase = t->phase;
  if (phase == kExecCall && (t->call.wire_flags & kCallSignals)) {
    classify(t, uc);
  } else if (phase == kExecIdle) {
    tell_deputy(kHomeKick, t->slot, 0);
  }
}

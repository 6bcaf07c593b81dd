// SPDX-License-Identifier: Apache-2.0
//
// Signals in the body. The kernel at home has already decided everything (which thread, restart or EINTR,
// masks); the gate only builds the frame that the kernel would have built, in home's XSAVE layout, because
// the kernel at home itself may consume the frame, and takes frames apart when the handler returns.
#include "libom/gate/signal.h"

#include "libom/abi/kernel.h"
#include "libom/gate/channel.h"
#include "libom/gate/cpus.h"
#include "libom/gate/forward.h"
#include "libom/gate/functions.h"
#include "libom/gate/gate.h"
#include "libom/gate/user_memory.h"
#include "libom/gate/xstate.h"
#include "libom/safe/call_layout.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"

namespace om::gate {
namespace {

constexpr uint64_t kFixEflags =
    0x40000 | 0x800 | 0x400 | 0x100 | 0x80 | 0x40 | 0x10 | 0x4 | 0x1 | 0x10000;
constexpr uint64_t kClearedInHandler = 0x400 | 0x10000 | 0x100;  // DF, RF, TF
constexpr uint64_t kRedZone = 128;
constexpr uint64_t kMinSigStack = 2048;

bool on_altstack(const BodyThread* t, uint64_t sp) {
  if (t->kernel.altstack[1] & k::kSsAutodisarm) return false;
  return sp > t->kernel.altstack[0] && sp - t->kernel.altstack[0] <= t->kernel.altstack[2];
}

uint32_t altstack_state(const BodyThread* t, uint64_t sp) {
  if (t->kernel.altstack[2] == 0) return k::kSsDisable;
  return on_altstack(t, sp) ? k::kSsOnstack : 0;
}

long build_frame(BodyThread* t, const SignalRecord& s) {
  uint64_t sp = t->regs[kRsp] - kRedZone;
  const bool nested = on_altstack(t, t->regs[kRsp]);
  if ((s.flags & k::kSaOnstack) && !nested && t->kernel.altstack[2] != 0)
    sp = t->kernel.altstack[0] + t->kernel.altstack[2];

  const XstateTable& home = g_body.home_xstate;
  uint8_t* const area = save_vector_state(t);  // home's layout
  auto sw = k::FpSw{};
  sw.magic1 = k::kFpMagic1;
  sw.extended_size = home.size + 4;
  sw.xfeatures = home.xcr0;
  sw.xstate_size = home.size;
  safe::store(area + k::kFpSwOffset, sw);
  sp = (sp - (home.size + 4)) & ~uint64_t{63};
  const uint64_t fpstate = sp;
  if (!write_program(fpstate, area, home.size) || !write_program(fpstate + home.size, k::kFpMagic2))
    return -k::kEFAULT;

  sp = ((sp - sizeof(k::SigFrame)) & ~uint64_t{15}) - 8;
  k::SigFrame f;
  safe::set_bytes(&f, 0, sizeof f);
  f.pretcode = s.restorer;
  f.uc.flags = k::kUcFpXstate | k::kUcSigcontextSs | k::kUcStrictRestoreSs;
  f.uc.stack.sp = t->kernel.altstack[0];
  f.uc.stack.flags =
      static_cast<uint32_t>(t->kernel.altstack[1]) | altstack_state(t, t->regs[kRsp]);
  f.uc.stack.size = t->kernel.altstack[2];
  safe::copy_bytes(f.uc.mcontext.regs, t->regs, sizeof t->regs);
  f.uc.mcontext.cs = 0x33;
  f.uc.mcontext.ss = 0x2b;
  f.uc.mcontext.err = t->fault_error;
  f.uc.mcontext.trapno = t->fault_trap;
  f.uc.mcontext.cr2 = t->fault_cr2;
  f.uc.mcontext.oldmask = s.frame_mask;
  f.uc.mcontext.fpstate = fpstate;
  f.uc.sigmask = s.frame_mask;
  safe::copy_bytes(&f.info, s.info, sizeof f.info);
  if (!write_program(sp, f)) return -k::kEFAULT;

  if (t->kernel.altstack[1] & k::kSsAutodisarm)
    t->kernel.altstack[0] = t->kernel.altstack[1] = t->kernel.altstack[2] = 0;
  t->regs[kRdi] = s.number;
  t->regs[kRsi] = sp + offsetof(k::SigFrame, info);
  t->regs[kRdx] = sp + offsetof(k::SigFrame, uc);
  t->regs[kRax] = 0;
  t->regs[kRsp] = sp;
  t->regs[kRip] = s.handler;
  t->regs[kFlags] &= ~kClearedInHandler;
  t->full_exit = 1;
  t->kernel.sigmask = s.handler_mask;
  init_vector_state(t);
  return 0;
}

// Tells home the program's mask from now on; the answer may bring signals.
void send_mask(GateCall& c, uint64_t mask) {
  BodyThread* t = c.thread;
  mask &= ~(k::sig_bit(k::kSIGKILL) | k::sig_bit(k::kSIGSTOP));
  if (mask == t->kernel.sigmask) return;
  const bool starves = t->starved > kStarved;
  const uint64_t args[6] = {mask, starves ? 1u : 0u, 0, 0, 0, 0};
  call_home(c, kNrSetMask, args, true);
  if (c.restart) return;
  t->kernel.sigmask = mask;
  if (starves) t->starved = 0;
}

void restore_altstack(BodyThread* t, const k::StackT& s) {
  // Ignores errors, like the kernel (restore_altstack in kernel/signal.c).
  if (on_altstack(t, t->regs[kRsp])) return;
  if (s.flags & k::kSsDisable) {
    t->kernel.altstack[0] = t->kernel.altstack[1] = t->kernel.altstack[2] = 0;
  } else if (s.size >= kMinSigStack) {
    t->kernel.altstack[0] = s.sp;
    t->kernel.altstack[1] = s.flags & k::kSsAutodisarm;
    t->kernel.altstack[2] = s.size;
  }
}

}  // namespace

// Context: gate
void note_starving(BodyThread* t, bool called_off) {
  if (called_off) {
    if (t->starved <= kStarved) t->starved += 2;
  } else if (t->starved > 0) {
    t->starved--;
  }
}

// Context: gate
long deliver(BodyThread* t, const SignalRecord* records, uint32_t count, uint32_t* index) {
  for (uint32_t i = 0; i < count; i++) {
    *index = i;
    if (records[i].number == 0 || records[i].number > 64 || records[i].handler <= k::kSigIgn)
      continue;
    const long r = build_frame(t, records[i]);
    t->fault_error = t->fault_trap = t->fault_cr2 = 0;
    if (r != 0) return r;
  }
  return 0;
}

// Context: gate
long gate_rt_sigreturn(GateCall& c) {
  BodyThread* t = c.thread;
  k::Ucontext uc;
  c.no_result = 1;
  t->full_exit = 1;
  // The restorer runs with rsp just above pretcode.
  if (!read_program(uc, t->regs[kRsp]) || load_vector_state(t, uc.mcontext.fpstate) != 0) {
    bad_stack(t);
    return 0;
  }
  send_mask(c, uc.sigmask);
  // The next handler runs before a single instruction of the program: once in a while, or forever.
  note_starving(t, c.signal_count > 0);
  if (c.restart) {
    // Signals that came before: their handlers run on top of this one, which then returns again.
    c.restart = 0;
    t->regs[kRip] -= 2;
    t->regs[kRax] = c.nr;
    return 0;
  }
  const uint64_t flags = t->regs[kFlags];
  safe::copy_bytes(t->regs, uc.mcontext.regs, sizeof t->regs);
  t->regs[kFlags] = (flags & ~kFixEflags) | (uc.mcontext.regs[kFlags] & kFixEflags) | 0x202;
  restore_altstack(t, uc.stack);
  return 0;
}

// Context: gate
long gate_rt_sigprocmask(GateCall& c) {
  BodyThread* t = c.thread;
  if (c.args[3] != 8) return -k::kEINVAL;
  uint64_t set = 0, next = t->kernel.sigmask;
  if (c.args[1] != 0) {
    if (!read_program(set, c.args[1])) return -k::kEFAULT;
    set &= ~(k::sig_bit(k::kSIGKILL) | k::sig_bit(k::kSIGSTOP));
    const auto how = static_cast<uint32_t>(c.args[0]);
    if (how == k::kSigBlock) {
      next |= set;
    } else if (how == k::kSigUnblock) {
      next &= ~set;
    } else if (how == k::kSigSetmask) {
      next = set;
    } else {
      return -k::kEINVAL;
    }
  }
  if (next != t->kernel.sigmask && t->kick) return kPark;
  const uint64_t old = t->kernel.sigmask;
  if (c.args[2] != 0 && !write_program(c.args[2], old)) return -k::kEFAULT;
  send_mask(c, next);
  return 0;
}

// Context: gate
long gate_sigaltstack(GateCall& c) {
  BodyThread* t = c.thread;
  const uint64_t sp = t->regs[kRsp];
  k::StackT old{};
  old.sp = t->kernel.altstack[0];
  old.flags = static_cast<uint32_t>(t->kernel.altstack[1]) | altstack_state(t, sp);
  old.size = t->kernel.altstack[2];
  if (c.args[0] != 0) {
    k::StackT next;
    if (!read_program(next, c.args[0])) return -k::kEFAULT;
    if (on_altstack(t, sp)) return -k::kEPERM;
    const uint32_t mode = next.flags & ~k::kSsAutodisarm;
    if (mode != 0 && mode != k::kSsOnstack && mode != k::kSsDisable) return -k::kEINVAL;
    const bool same = next.sp == t->kernel.altstack[0] && next.size == t->kernel.altstack[2] &&
                      (next.flags & ~static_cast<uint32_t>(k::kSsOnstack)) == t->kernel.altstack[1];
    if (mode == k::kSsDisable) {
      next.sp = next.size = 0;
      next.flags = 0;
    } else if (next.size < kMinSigStack && !same) {
      return -k::kENOMEM;
    }
    t->kernel.altstack[0] = next.sp;
    t->kernel.altstack[1] = next.flags & k::kSsAutodisarm;
    t->kernel.altstack[2] = next.size;
  }
  if (c.args[1] != 0 && !write_program(c.args[1], old)) return -k::kEFAULT;
  return 0;
}

// A synchronous fault: home knows the handler. Without a handler (or if blocked) the instruction runs again at home,
// where the kernel does to the process what it always does. Without a signal it is an instruction that runs only there.
// Context: gate
void serve_fault(BodyThread* t) {
  if (t->fault_signal == 0) {
    t->full_exit = 1;
    want_home(t, 0);
    return;
  }
  SignalRecord signals[kMaxSignals];
  GateCall c;
  safe::set_bytes(&c, 0, sizeof c);
  c.thread = t;
  c.signals = signals;
  c.no_result = 1;
  t->full_exit = 1;
  const uint64_t args[6] = {t->fault_signal, 0, 0, 0, 0, 0};
  Ins ins;
  ins.count = 1;
  ins.bytes = sizeof t->fault_info;
  ins.piece[0] = {reinterpret_cast<uint64_t>(t->fault_info), sizeof t->fault_info};
  const long handled = call_home_with(c, kNrFault, args, ins, nullptr, true);
  uint32_t index = 0;
  if (handled == 1 && c.signal_count > 0 && deliver(t, signals, c.signal_count, &index) == 0)
    return;
  if (handled == 1) t->kick = 1;
  want_home(t, 0);
}

// Context: gate
void bad_stack(BodyThread* t) {
  // The kernel's force_sigsegv().
  t->fault_signal = k::kSIGSEGV;
  safe::set_bytes(t->fault_info, 0, sizeof t->fault_info);
  k::Siginfo info{};
  info.signo = static_cast<int32_t>(k::kSIGSEGV);
  info.code = 0x80;  // SI_KERNEL
  safe::copy_bytes(t->fault_info, &info, sizeof info);
  serve_fault(t);
}

}  // namespace om::gate

extern "C" void om_gate_fault(om::BodyThread* t);

// Context: gate
void om_gate_fault(om::BodyThread* t) {
  t->phase = om::kBodyGate;
  om::gate::abort_sequence(t);
  om::gate::serve_fault(t);
  t->phase = om::kBodyUser;
}

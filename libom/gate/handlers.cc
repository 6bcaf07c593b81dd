// SPDX-License-Identifier: Apache-2.0
//
// Signal handlers of the body: the keeper's kick and the synchronous faults. They run on the landing stack,
// tell from the interrupted address what the thread was doing, edit the kernel's frame and return; the
// kernel's own sigreturn then puts the thread where it has to go. Nothing stays on the landing stack.
//
// Where a kick can land:
//   program code            -> registers to the block, on to om_exit_kicked (park or collect signals)
//   the clock functions     -> single-stepped out first: their state means nothing on another node
//   the exit sequence       -> the block still holds everything, on to om_exit_kicked
//   home's vDSO behind the  -> faults (deputy/memory/body_vdso.cc); the process comes home, where the function goes on
//     start of a function
//   anywhere else in libom  -> only T_KICK is set; the gate checks it before it blocks and before it leaves
#include "libom/abi/kernel.h"
#include "libom/gate/gate.h"
#include "libom/gate/user_memory.h"
#include "libom/safe/image.h"
#include "libom/safe/mem.h"
#include "libom/safe/syscall.h"

extern "C" {
extern __attribute__((visibility("hidden"))) char om_exit_lo[], om_exit_hi[], om_exit_kicked[],
    om_fault_entry[];
void om_on_kick(int sig, om::k::Siginfo* info, om::k::Ucontext* uc);
void om_on_fault(int sig, om::k::Siginfo* info, om::k::Ucontext* uc);
}

namespace om::gate {
namespace {

constexpr uint64_t kTrapFlag = 0x100, kDirectionFlag = 0x400;

uint64_t address(const void* p) { return reinterpret_cast<uint64_t>(p); }

bool inside(uint64_t rip, const char* lo, const char* hi) {
  return rip >= address(lo) && rip < address(hi);
}

bool in_home_vdso(uint64_t rip) { return rip >= g_body.home_vdso_lo && rip < g_body.home_vdso_hi; }

bool in_clock_code(uint64_t rip) {
  return inside(rip, __start_om_vfn, __stop_om_vfn) ||
         (rip >= g_body.local_vdso_lo && rip < g_body.local_vdso_hi) || in_home_vdso(rip);
}

// The exports count as the program's code, wherever they lie.
bool in_libom(uint64_t rip) {
  return inside(rip, __ehdr_start, _end) && !inside(rip, __start_om_exports, __stop_om_exports);
}

BodyThread* self() {
  BodyThread* t;
  asm volatile("mov %%gs:0, %0" : "=r"(t));
  return t;
}

void send_to(k::Ucontext* uc, BodyThread* t, const char* where) {
  auto& r = uc->mcontext.regs;
  r[kRip] = address(where);
  r[kRdi] = address(t);
  r[kRsp] = t->gate_sp;
  r[kFlags] &= ~(kTrapFlag | kDirectionFlag);
}

void take_over(k::Ucontext* uc, BodyThread* t, const char* where) {
  safe::copy_bytes(t->regs, uc->mcontext.regs, sizeof t->regs);
  t->full_exit = 1;
  t->phase = kBodyGate;
  send_to(uc, t, where);
}

}  // namespace
}  // namespace om::gate

using namespace om;
using namespace om::gate;

// Context: kick
void om_on_kick(int, k::Siginfo*, k::Ucontext* uc) {
  BodyThread* t = self();
  const uint64_t rip = uc->mcontext.regs[kRip];
  if (inside(rip, om_exit_lo, om_exit_hi)) {
    t->kick = 1;
    send_to(uc, t, om_exit_kicked);
  } else if (in_clock_code(rip)) {
    t->stepping = 1;
    uc->mcontext.regs[kFlags] |= kTrapFlag;
  } else if (in_libom(rip)) {
    t->kick = 1;
    if (inside(rip, om_window_lo, om_window_end))
      uc->mcontext.regs[kRip] = address(om_window_abort);
  } else {
    t->kick = 1;
    take_over(uc, t, om_exit_kicked);
  }
}

// Context: kick
void om_on_fault(int sig, k::Siginfo* info, k::Ucontext* uc) {
  BodyThread* t = self();
  auto& r = uc->mcontext.regs;
  const uint64_t rip = r[kRip];
  if (sig == static_cast<int>(k::kSIGTRAP) && t->stepping) {
    // A step out of the clock code (see om_on_kick). A clock function that makes a system call goes through
    // the gate with the trap flag in its registers; stepping continues afterwards.
    if (in_clock_code(rip) || in_libom(rip)) return;
    r[kFlags] &= ~kTrapFlag;
    t->stepping = 0;
    t->kick = 1;
    take_over(uc, t, om_exit_kicked);
    return;
  }
  if (in_home_vdso(rip) && sig != static_cast<int>(k::kSIGTRAP) && info->code > 0) {
    t->stepping = 0;
    r[kFlags] &= ~kTrapFlag;
    t->fault_signal = 0;
    take_over(uc, t, om_fault_entry);
    return;
  }
  if (info->code <= 0) return;  // sent by kill(2) from the remote node, not a fault
  if (const uint64_t next = after_fault(rip); next != 0) {
    r[kRip] = next;
    return;
  }
  if (in_libom(rip) && !inside(rip, __start_om_vfn, __stop_om_vfn))
    panic("fault inside libom at", rip - address(__ehdr_start));
  t->fault_signal = static_cast<uint32_t>(sig);
  t->fault_error = uc->mcontext.err;
  t->fault_trap = uc->mcontext.trapno;
  t->fault_cr2 = uc->mcontext.cr2;
  safe::copy_bytes(t->fault_info, info, sizeof t->fault_info);
  take_over(uc, t, om_fault_entry);
}

// SPDX-License-Identifier: Apache-2.0
//
// The restorer, by which a body builds itself: the first code from home that runs on the other node, already under
// the filter. It carries out the keeper's plan (what to unmap and to map, where the local vDSO moves), waits while the
// keeper fills the memory, sets protections, makes the threads, and starts them on COMMIT.
//
// Order: handlers and %gs before the first thread, rseq only after the fill (it lies in the program's TLS),
// signals stay blocked in each thread until its gate can take them.
#include "libom/abi/body.h"
#include "libom/abi/home.h"
#include "libom/abi/kernel.h"
#include "libom/abi/plan.h"
#include "libom/abi/sandbox.h"
#include "libom/abi/sockets.h"
#include "libom/gate/channel.h"
#include "libom/gate/gate.h"
#include "libom/gate/ranges.h"
#include "libom/gate/thread.h"
#include "libom/safe/atomic.h"
#include "libom/safe/lock.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/safe/unix_fd.h"

extern "C" {
void om_body_entry(om::BodyThread* first);
void om_body_start(om::BodyThread* t, const void* xsave);
void om_sigsys_entry(void);
void om_on_kick(void);
void om_on_fault(void);
}

namespace om::restore {
namespace {

using gate::g_body;
using safe::sys;

void report(uint32_t type, long result, uint64_t at = 0) {
  BodyMessage m{};
  m.type = type;
  m.a = static_cast<uint64_t>(result);
  m.b = at;
  sys(kNr_write, kKeeperFd, &m, sizeof m);
}

// Receives the next message that is not a channel; files channels under their slots.
void next_message(BodyMessage& m) {
  for (;;) {
    BodyChannel in;
    int32_t fd;
    const long n = safe::receive_with_fd(kKeeperFd, &in, sizeof in, 0, fd);
    const bool channel = n == sizeof in && in.head.type == kBodyChannel;
    if (!channel && n != sizeof m) sys(kNr_exit_group, 0);
    m = in.head;
    if (!channel) return;
    if (m.slot < g_body.slots_ready) gate::file_channel(gate::thread_at(m.slot), fd, in.keys);
    safe::wipe(&in.keys, sizeof in.keys);
  }
}

long carry_out(const PlanEntry& e) {
  constexpr uint32_t kPlace =
      k::kMapPrivate | k::kMapAnonymous | k::kMapNoreserve | k::kMapFixedNoreplace;
  const uint64_t len = e.hi - e.lo;
  switch (e.kind) {
    case kPlanUnmap:
      return sys(kNr_munmap, e.lo, len);
    case kPlanMoveVdso: {
      const long r = sys(kNr_mremap, e.lo, len, len, k::kMremapMaymove | k::kMremapFixed, e.arg);
      return r < 0 && r > -4096 ? r : 0;
    }
    case kPlanMap: {
      const long r = sys(kNr_mmap, e.lo, len, k::kProtRead | k::kProtWrite, kPlace, -1, 0);
      return r == static_cast<long>(e.lo) ? 0 : (r < 0 && r > -4096 ? r : -k::kEEXIST);
    }
    case kPlanReserve: {
      const long r = sys(kNr_mmap, e.lo, len, k::kProtNone, kPlace, -1, 0);
      return r == static_cast<long>(e.lo) ? 0 : (r < 0 && r > -4096 ? r : -k::kEEXIST);
    }
    case kPlanView:
      return gate::show_object(e.arg, e.lo, len, k::kProtRead | k::kProtWrite);
    case kPlanProtect:
      return sys(kNr_mprotect, e.lo, len, e.prot & 7);
    case kPlanGuard: {
      // Kernels before 6.13 have no guard pages. Without access rights a touch faults, too, and goes home.
      const long r = sys(kNr_madvise, e.lo, len, k::kMadvGuardInstall);
      return r == -k::kEINVAL ? sys(kNr_mprotect, e.lo, len, k::kProtNone) : r;
    }
    default:
      return -k::kEINVAL;
  }
}

const PlanEntry* plan_entries(const RestorePlan* plan) {
  return reinterpret_cast<const PlanEntry*>(plan + 1);
}

void set_handler(uint32_t sig, void (*handler)(void), uint64_t flags) {
  KernelSigaction a{};
  a.handler = reinterpret_cast<uint64_t>(handler);
  a.flags = flags | k::kSaRestorer;
  a.restorer = reinterpret_cast<uint64_t>(om_restorer);
  sys(kNr_rt_sigaction, sig, &a, 0, 8);
}

void set_handlers() {
  constexpr uint64_t kLand = k::kSaSiginfo | k::kSaOnstack;
  set_handler(k::kSIGSYS, om_sigsys_entry, kLand | k::kSaNodefer);
  set_handler(k::kSIGURG, om_on_kick, kLand | k::kSaRestart);
  constexpr uint32_t kFaults[] = {k::kSIGSEGV, k::kSIGBUS, k::kSIGFPE, k::kSIGILL, k::kSIGTRAP};
  for (uint32_t sig : kFaults) {
    set_handler(sig, om_on_fault, kLand | k::kSaNodefer);
  }
  KernelSigaction ignore{};
  ignore.handler = k::kSigIgn;
  sys(kNr_rt_sigaction, k::kSIGPIPE, &ignore, 0, 8);
}

void start(BodyThread* t) {
  sys(kNr_arch_prctl, k::kArchSetFs, t->kernel.fs_base);
  gate::allow_kicks();
  om_body_start(t, reinterpret_cast<const void*>(gate::slot_base(t) + kSlotFrame + kFrameXsave));
}

void thread_main(void* arg) {
  auto* t = static_cast<BodyThread*>(arg);
  gate::enter_thread(t);
  while (safe::load_acquire(&g_body.committed) == 0) safe::futex_wait(&g_body.committed, 0);
  start(t);
}

long make_threads() {
  constexpr uint64_t kFlags = k::kCloneVm | k::kCloneFs | k::kCloneFiles | k::kCloneSighand |
                              k::kCloneThread | k::kCloneSysvsem;
  for (uint32_t i = 1; i < g_body.nthreads; i++) {
    BodyThread* t = gate::thread_at(i);
    const long r =
        om_clone(kFlags, reinterpret_cast<void*>(t->gate_sp), nullptr, nullptr, thread_main, t);
    if (r < 0) return r;
  }
  for (uint32_t i = 1; i < g_body.nthreads; i++) {
    while (safe::load_acquire(&gate::thread_at(i)->body_tid) == 0) sys(kNr_sched_yield);
  }
  return 0;
}

}  // namespace
}  // namespace om::restore

using namespace om;
using namespace om::restore;

// Context: restore
void om_body_entry(BodyThread* first) {
  gate::block_kicks();
  const auto* plan = reinterpret_cast<const RestorePlan*>(g_body.arena + kControlPlan);
  const PlanEntry* entry = plan_entries(plan);
  if (plan->magic != kPlanMagic || plan->before > kMaxPlanEntries ||
      plan->after > kMaxPlanEntries - plan->before) {
    report(kBodyRestored, -k::kEINVAL);
    sys(kNr_exit_group, 1);
  }
  for (uint32_t i = 0; i < plan->before; i++, entry++) {
    const long r = carry_out(*entry);
    if (r != 0) {
      report(kBodyRestored, r, entry->lo);
      sys(kNr_exit_group, 1);
    }
  }
  for (uint32_t i = 0; i < g_body.nthreads; i++) gate::prepare_slot(i);
  g_body.slots_ready = g_body.nthreads;
  report(kBodyRestored, 0);

  BodyMessage m;
  next_message(m);
  if (m.type != kBodyFilled) sys(kNr_exit_group, 1);
  long result = 0;
  for (uint32_t i = 0; i < plan->after && result == 0; i++, entry++) result = carry_out(*entry);
  set_handlers();
  constexpr long kRegister[] = {16, 64, 256};  // membarrier: private expedited, sync-core, rseq
  for (long command : kRegister) sys(kNr_membarrier, command, 0, 0);
  gate::enter_thread(first);
  g_body.body_pid = first->body_tid;
  if (result == 0) result = make_threads();
  report(kBodyReady, result);
  next_message(m);
  if (m.type != kBodyCommit || result != 0) sys(kNr_exit_group, 1);
  safe::store_release(&g_body.committed, 1u);
  safe::futex_wake(&g_body.committed, 1 << 30);
  start(first);
}

// SPDX-License-Identifier: Apache-2.0
//
// Threads at home while away: the twin that gives a new body thread its tid, the twin's end, and what the
// gate asks about signals and memory (Calls that are not system calls).
#include "libom/abi/kernel.h"
#include "libom/safe/atomic.h"
#include "libom/safe/lock.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/stream.h"
#include "libom/safe/syscall.h"
#include "libom/stub/deputy_socket.h"
#include "libom/stub/executor.h"
#include "libom/stub/executor_memory.h"
#include "libom/stub/functions.h"
#include "libom/stub/program_memory.h"
#include "libom/stub/signal.h"
#include "libom/stub/stub.h"
#include "libom/stub/unpack.h"

namespace om::stub {
namespace {

using safe::sys;

constexpr uint64_t kTwinFlags = k::kCloneVm | k::kCloneFs | k::kCloneFiles | k::kCloneSighand |
                                k::kCloneThread | k::kCloneSysvsem | k::kCloneParentSettid |
                                k::kCloneChildCleartid;

void twin_main(void* arg) {
  auto* t = static_cast<HomeThread*>(arg);
  serve(t);
}

long prepare_slot(uint32_t slot) {
  const safe::LockGuard guard(&g_home.slots_lock);
  while (g_home.slots_ready <= slot) {
    const uint64_t at = slot_address(g_home.arena, g_home.slots_ready);
    const long r =
        sys(kNr_mprotect, at + kSlotGuard, kSlotSize - kSlotGuard, k::kProtRead | k::kProtWrite);
    if (r != 0) return r;
    HomeThread* t = thread_at(g_home.slots_ready);
    t->slot = g_home.slots_ready;
    safe::detach(t->channel, seal_of(t));
    g_home.slots_ready++;
  }
  return 0;
}

// Waits until a slot's last thread has left its stack: the kernel then clears the word.
void wait_for_exit(HomeThread* t) {
  for (;;) {
    const uint32_t word = safe::load_acquire(&t->ctid_word);
    if (word == 0) return;
    sys(kNr_futex, &t->ctid_word, k::kFutexWait, word, 0);  // not private: the kernel's wake is not
  }
}

uint64_t swap_mask(uint64_t mask) {
  uint64_t old = 0;
  sys(kNr_rt_sigprocmask, k::kSigSetmask, &mask, &old, 8);
  return old;
}

}  // namespace

// Context: exec
long wire_clone_twin(HomeCall& c) {
  const uint64_t slot = c.args[0];
  if (slot >= g_home.nslots) return -k::kEINVAL;
  const long ready = prepare_slot(static_cast<uint32_t>(slot));
  if (ready != 0) return ready;
  HomeThread* t = thread_at(static_cast<uint32_t>(slot));
  if (!safe::compare_exchange(&t->state, uint32_t{kSlotFree}, uint32_t{kSlotUsed}))
    return -k::kEINVAL;
  wait_for_exit(t);
  t->ctid_word = 1;
  t->call.nr = t->call.finished = 0;
  t->phase = kExecIdle;
  t->cancel = t->interrupted = 0;
  t->noted_tail = t->noted_head;
  t->noted_sent = t->choked = 0;
  t->core.number = 0;
  t->kernel.rseq_address = 0;
  const uint64_t stack = address_of_stack(t);
  const long tid =
      om_clone(kTwinFlags, reinterpret_cast<void*>(stack), &t->tid, &t->ctid_word, twin_main, t);
  if (tid < 0) {
    t->state = kSlotFree;
    t->ctid_word = 0;
  }
  return tid;
}

// Context: exec
long wire_exit_twin(HomeCall& c) {
  HomeThread* t = c.thread;
  // Home's kernel must keep no pointer into the program's memory when the body learns of this.
  swap_mask(~uint64_t{0});
  sys(kNr_set_robust_list, 0, 24);
  if (t->kernel.rseq_address != 0)
    sys(kNr_rseq, t->kernel.rseq_address, t->kernel.rseq_size, 1, t->kernel.rseq_signature);
  t->kernel.rseq_address = 0;
  t->ctid_word = 1;
  sys(kNr_set_tid_address, &t->ctid_word);
  const auto status = static_cast<long>(c.args[0]);
  unmap_executor_area(t);
  t->call.result = 0;
  safe::store_release(&t->call.finished, 1u);
  safe::store_release(&t->seq_done, t->call.seq);
  wait_while_held(t);
  // The slot's next thread may come as soon as the body has the Return; it waits for ctid_word.
  t->state = kSlotFree;
  send_return(t);
  t->phase = kExecGone;
  uint32_t unused;
  om_exit_thread(&unused, status);
}

// Context: exec
long wire_set_mask(HomeCall& c) {
  HomeThread* t = c.thread;
  if (c.args[1] == 1) tell_deputy(kHomeWantHome, t->slot, kNrSetMask);
  if (t->choked) {
    t->call_mask = c.args[0];
    return 0;
  }
  swap_mask(c.args[0]);  // what this unblocks is caught before the call returns
  return 0;
}

// Whether only home can tell the signal: the page is mapped, but neither body nor home can read it. It may be an
// inaccessible page, or one behind the end of a file, which gives another signal. Only the instruction itself, run
// here, shows which.
static bool home_must_decide(const uint8_t* siginfo) {
  constexpr int32_t kSegvAccerr = 2;
  const auto info = safe::load<k::Siginfo>(siginfo);
  if (info.signo != static_cast<int32_t>(k::kSIGSEGV) || info.code != kSegvAccerr) return false;
  const uint64_t page = safe::load<uint64_t>(siginfo + 16) & ~(kPageSize - 1);
  uint8_t byte, in_core;
  return !read_program(&byte, page, 1) && sys(kNr_mincore, page, kPageSize, &in_core) == 0;
}

// Handles a synchronous fault of the program in the body. 1: a record is noted, with the mask changed as the
// kernel would have; 0: the kernel at home has to decide (no handler, or blocked).
// Context: exec
long wire_fault(HomeCall& c) {
  HomeThread* t = c.thread;
  const auto sig = static_cast<uint32_t>(c.args[0]);
  const uint8_t* info = take_ins(c, sizeof(k::Siginfo));
  if (info == nullptr || sig < 1 || sig > 64) return -k::kEPROTO;
  if (home_must_decide(info)) return 0;
  const uint64_t mask = swap_mask(~uint64_t{0});
  KernelSigaction& action = g_home.actions[sig];
  if (action.handler <= k::kSigIgn || (mask & k::sig_bit(sig)) || noted(t) >= kMaxNoted - 1) {
    swap_mask(mask);
    return 0;
  }
  SignalRecord& s = t->noted[t->noted_head % kMaxNoted];
  safe::set_bytes(&s, 0, sizeof s);
  s.number = sig;
  s.handler = action.handler;
  s.flags = action.flags;
  s.restorer = action.restorer;
  s.frame_mask = mask;
  s.handler_mask = mask | action.mask | ((action.flags & k::kSaNodefer) ? 0 : k::sig_bit(sig));
  safe::copy_bytes(s.info, info, sizeof s.info);
  reset_handler(sig, action);
  t->noted_head++;
  swap_mask(s.handler_mask);
  return 1;
}

// Context: exec
long wire_read_home(HomeCall& c) {
  HomeThread* t = c.thread;
  const uint64_t n = c.args[1];
  if (n == 0 || n > kPieceBytes) return -k::kEINVAL;
  uint8_t* to = bounce(t, n);
  if (to == nullptr) return -k::kENOMEM;
  if (hits_libom(c.args[0], n)) return 0;
  k::Iovec local{reinterpret_cast<uint64_t>(to), n}, remote{c.args[0], n};
  const long r = sys(kNr_process_vm_readv, sys(kNr_getpid), &local, 1, &remote, 1, 0);
  if (r <= 0) return r == -k::kEFAULT ? 0 : r;
  t->outs_address = reinterpret_cast<uint64_t>(to);
  t->outs_bytes = static_cast<uint64_t>(r);
  return r;
}

}  // namespace om::stub

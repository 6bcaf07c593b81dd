// SPDX-License-Identifier: Apache-2.0
//
// Threads of a body. Home makes the twin first, because its tid is the tid; then the gate makes the body's own thread,
// in a slot that both sides number alike. A slot's channel outlives its thread and serves the next one.
//
// The child's first instructions run with every signal blocked, on its gate stack: %gs and the landing stack
// are not set up yet, and a kick must find both.
#include "libom/gate/thread.h"

#include "libom/abi/kernel.h"
#include "libom/abi/sandbox.h"
#include "libom/abi/sockets.h"
#include "libom/gate/cpus.h"
#include "libom/gate/forward.h"
#include "libom/gate/functions.h"
#include "libom/gate/gate.h"
#include "libom/gate/ranges.h"
#include "libom/gate/user_memory.h"
#include "libom/safe/atomic.h"
#include "libom/safe/image.h"
#include "libom/safe/lock.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"

extern "C" {
void om_thread_go(om::BodyThread* t);  // entry.S: regs of t, now
}

namespace om::gate {
namespace {

using safe::sys;

constexpr uint64_t kThreadFlags = k::kCloneVm | k::kCloneFs | k::kCloneFiles | k::kCloneSighand |
                                  k::kCloneThread | k::kCloneSysvsem;
constexpr uint64_t kKnownFlags = kThreadFlags | k::kCloneSettls | k::kCloneParentSettid |
                                 k::kCloneChildCleartid | k::kCloneChildSettid | k::kCloneDetached |
                                 k::kCloneUntraced;

struct CloneArgs {  // struct clone_args
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
      set_tid_size, cgroup;
};

void child_main(void* arg) {
  auto* t = static_cast<BodyThread*>(arg);
  enter_thread(t);
  sys(kNr_arch_prctl, k::kArchSetFs, t->kernel.fs_base);
  allow_kicks();
  om_thread_go(t);
}

// A slot whose last thread has left its stack; -1 if all are in use.
int free_slot() {
  for (uint32_t i = 0; i < g_body.nslots; i++) {
    if (safe::load_acquire(&thread_at(i)->busy) == 0) return static_cast<int>(i);
    if (i + 1 == g_body.slots_ready) {
      // The next slot has never been used: make its memory accessible.
      if (i + 1 >= g_body.nslots) return -1;
      if (prepare_slot(i + 1) != 0) return -1;
      g_body.slots_ready = i + 2;
    }
  }
  return -1;
}

void copy_thread(BodyThread* child, const BodyThread* parent, const CloneArgs& a, int tid) {
  safe::copy_bytes(child->regs, parent->regs, sizeof child->regs);
  child->regs[kRax] = 0;
  if (a.stack != 0) child->regs[kRsp] = a.stack + a.stack_size;
  child->home_tid = tid;
  child->kick = 0;
  child->stepping = 0;
  child->want_home = 0;
  child->phase = kBodyUser;
  child->full_exit = 1;
  child->kind = kThreadUser;
  child->call_sent = 0;
  child->kernel.sigmask = parent->kernel.sigmask;
  child->kernel.altstack[0] = child->kernel.altstack[1] = child->kernel.altstack[2] = 0;
  child->kernel.ctid = (a.flags & k::kCloneChildCleartid) ? a.child_tid : 0;
  child->kernel.robust_head = child->kernel.robust_size = 0;
  child->kernel.rseq_address = 0;
  child->kernel.fs_base = (a.flags & k::kCloneSettls) ? a.tls : parent->kernel.fs_base;
}

// Ends the twin of a slot that got no thread, on behalf of that slot and by its channel; nothing else uses them.
// Preconditions: clone_lock is held.
void end_twin(BodyThread* child) {
  SignalRecord signals[kMaxSignals];
  GateCall c;
  safe::set_bytes(&c, 0, sizeof c);
  c.thread = child;
  c.signals = signals;
  const uint64_t args[6] = {};
  call_home(c, kNrExitTwin, args, true);
  child->phase = kBodyGone;
  safe::store_release(&child->busy, 0u);
}

long start_thread(GateCall& c, const CloneArgs& a) {
  BodyThread* t = c.thread;
  if (t->kick) return kPark;
  if (safe::lock_window(&g_body.clone_lock, &t->kick) == safe::kAborted) return kPark;
  const int slot = free_slot();
  if (slot < 0) {
    safe::unlock(&g_body.clone_lock);
    return come_home(c);
  }
  BodyThread* child = thread_at(static_cast<uint32_t>(slot));
  child->body_tid = 0;  // not there yet: kicks wait
  safe::store_release(&child->busy, 1u);
  const uint64_t args[6] = {static_cast<uint64_t>(slot), 0, 0, 0, 0, 0};
  // Not interruptible: a twin without a thread must not exist.
  const long tid = call_home(c, kNrCloneTwin, args, true);
  if (tid < 0) {
    child->busy = 0;
    safe::unlock(&g_body.clone_lock);
    return tid;
  }
  copy_thread(child, t, a, static_cast<int>(tid));
  const auto tid32 = static_cast<int32_t>(tid);
  int32_t parent_word = 0, child_word = 0;
  if (a.flags & k::kCloneParentSettid) read_program(parent_word, a.parent_tid);
  if (a.flags & k::kCloneChildSettid) read_program(child_word, a.child_tid);
  if (a.flags & k::kCloneParentSettid) write_program(a.parent_tid, tid32);
  if (a.flags & k::kCloneChildSettid) write_program(a.child_tid, tid32);
  block_kicks();
  auto* const stack = reinterpret_cast<void*>(child->gate_sp);
  const long made = om_clone(kThreadFlags, stack, nullptr, nullptr, child_main, child);
  allow_kicks();
  // The keeper must find the thread when the program makes a request for it right away.
  if (made > 0) child->body_tid = static_cast<int32_t>(made);
  if (made < 0) {
    // This node's limits forbid the thread: end its twin and return the error to the program. Restore the words
    // written for the thread.
    end_twin(child);
    if (a.flags & k::kCloneChildSettid) write_program(a.child_tid, child_word);
    if (a.flags & k::kCloneParentSettid) write_program(a.parent_tid, parent_word);
  }
  safe::unlock(&g_body.clone_lock);
  return made < 0 ? -k::kEAGAIN : tid;
}

}  // namespace

// Context: gate
void block_kicks() {
  const uint64_t all = ~uint64_t{0};
  sys(kNr_rt_sigprocmask, k::kSigSetmask, &all, 0, 8);
}

// Context: gate
void allow_kicks() {
  const uint64_t none = 0;
  sys(kNr_rt_sigprocmask, k::kSigSetmask, &none, 0, 8);
}

// Context: gate, restore
void enter_thread(BodyThread* t) {
  sys(kNr_arch_prctl, k::kArchSetGs, t);
  k::StackT landing{};
  landing.sp = reinterpret_cast<uint64_t>(slot_base(t) + kSlotLanding);
  landing.size = kSlotLandingSize;
  sys(kNr_sigaltstack, &landing, 0);
  sys(kNr_set_tid_address, t->kernel.ctid);
  t->body_tid = static_cast<int32_t>(sys(kNr_gettid));
  if (t->kernel.rseq_address != 0) {
    // Not registered yet: the address is what will be.
    const KernelThread k = t->kernel;
    t->kernel.rseq_address = 0;
    const long r = register_sequences(t, k.rseq_address, k.rseq_size, 0, k.rseq_signature);
    if (r != 0) panic("rseq", static_cast<uint64_t>(-r));
    t->kernel.rseq_address = k.rseq_address;
  }
}

// Context: gate, restore
long prepare_slot(uint32_t slot) {
  const uint64_t at = slot_address(g_body.arena, slot);
  const long r =
      sys(kNr_mprotect, at + kSlotGuard, kSlotSize - kSlotGuard, k::kProtRead | k::kProtWrite);
  if (r != 0) return r;
  BodyThread* t = thread_at(slot);
  t->self = reinterpret_cast<uint64_t>(t);
  t->gate_sp = at + kSlotStack + kSlotStackSize - 64;
  t->slot = slot;
  t->channel.fd = -1;
  return 0;
}

// Context: gate
bool is_reserved(uint64_t addr, uint64_t len) {
  return touches(addr, len, safe::image_lo(), safe::image_hi()) ||
         touches(addr, len, g_body.home_vdso_lo, g_body.home_vdso_hi);
}

// Context: gate
bool is_lent(uint64_t addr, uint64_t len) {
  return touches_lent(addr, len, g_body.arena, g_body.nslots);
}

// Context: any
void panic(const char* what, uint64_t value) {
  char line[160];
  uint32_t n = 0;
  auto put = [&](const char* s) {
    while (*s != 0 && n < sizeof line - 24) line[n++] = *s++;
  };
  put("libom: ");
  put(what);
  put(" 0x");
  for (int shift = 60; shift >= 0; shift -= 4) line[n++] = "0123456789abcdef"[value >> shift & 15];
  BodyMessage m{};
  m.type = kBodyPanic;
  m.a = value;
  safe::copy_bytes(
      &m.b, line,
      sizeof m - offsetof(BodyMessage, b) < n ? sizeof m - offsetof(BodyMessage, b) : n);
  sys(kNr_write, kKeeperFd, &m, sizeof m);
  sys(kNr_exit_group, 134);
  for (;;) {
  }
}

// Context: gate
long gate_clone(GateCall& c) {
  CloneArgs a{};
  a.flags = c.args[0];
  a.stack = c.args[1];
  a.parent_tid = c.args[2];
  a.child_tid = c.args[3];
  a.tls = c.args[4];
  if ((a.flags & kThreadFlags) != kThreadFlags || (a.flags & ~(kKnownFlags | 0xff)) != 0)
    return come_home(c);
  return start_thread(c, a);
}

// Context: gate
long gate_clone3(GateCall& c) {
  CloneArgs a{};
  const uint64_t size = c.args[1];
  if (size < 64) return -k::kEINVAL;
  const uint64_t n = size < sizeof a ? size : sizeof a;
  if (!read_program(&a, c.args[0], n)) return -k::kEFAULT;
  const bool plain = size <= sizeof a && a.set_tid_size == 0 && a.cgroup == 0 && a.exit_signal == 0;
  if (!plain || (a.flags & kThreadFlags) != kThreadFlags || (a.flags & ~kKnownFlags) != 0)
    return come_home(c);
  return start_thread(c, a);
}

// Context: gate
long gate_exit(GateCall& c) {
  BodyThread* t = c.thread;
  if (t->kick) return kPark;
  walk_robust_list(t);
  drain(t);
  const uint64_t args[6] = {c.args[0], 0, 0, 0, 0, 0};
  call_home(c, kNrExitTwin, args, true);
  if (t->kernel.rseq_address != 0) {
    register_sequences(t, t->kernel.rseq_address, t->kernel.rseq_size, 1, t->kernel.rseq_signature);
  }
  block_kicks();
  // What the kernel does at the very end (mm_release) has to be in the program's memory before the thread
  // stops counting, because that memory may be sent home at once. The stack under us is the slot's.
  sys(kNr_set_tid_address, 0);
  const uint32_t zero = 0;
  if (t->kernel.ctid != 0 && write_program(t->kernel.ctid, zero)) {
    sys(kNr_futex, t->kernel.ctid, k::kFutexWake, 1);
  }
  t->phase = kBodyGone;
  om_exit_thread(&t->busy, static_cast<long>(c.args[0]));
}

// Context: gate
long gate_set_tid_address(GateCall& c) {
  c.thread->kernel.ctid = c.args[0];
  sys(kNr_set_tid_address, c.args[0]);
  return c.thread->home_tid;
}

// Context: gate
long gate_set_robust_list(GateCall& c) {
  if (c.args[1] != 24) return -k::kEINVAL;
  c.thread->kernel.robust_head = c.args[0];
  c.thread->kernel.robust_size = c.args[1];
  return 0;
}

// Context: gate
long gate_get_robust_list(GateCall& c) {
  const auto tid = static_cast<int32_t>(c.args[0]);
  BodyThread* other = nullptr;
  for (uint32_t i = 0; i < g_body.slots_ready && other == nullptr; i++) {
    BodyThread* t = thread_at(i);
    if (t->busy && (tid == 0 ? t == c.thread : t->home_tid == tid)) other = t;
  }
  if (other == nullptr) return come_home(c);
  if (!write_program(c.args[2], other->kernel.robust_size)) return -k::kEFAULT;
  if (!write_program(c.args[1], other->kernel.robust_head)) return -k::kEFAULT;
  return 0;
}

// Context: gate
long gate_arch_prctl(GateCall& c) {
  switch (static_cast<uint32_t>(c.args[0])) {
    case k::kArchSetFs: {
      const long r = sys(kNr_arch_prctl, k::kArchSetFs, c.args[1]);
      if (r == 0) c.thread->kernel.fs_base = c.args[1];
      return r;
    }
    case k::kArchGetFs:
      return sys(kNr_arch_prctl, k::kArchGetFs, c.args[1]);
    default:
      return come_home(c);
  }
}

}  // namespace om::gate

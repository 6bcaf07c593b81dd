// SPDX-License-Identifier: Apache-2.0
//
// Lies in what the keeper reads when the body stands still. The thread that it knows never parks: it computes, and
// no kick reaches it. A thread that nobody knows waits for the stop and says in the block of the other that this
// one stands still, and what it is; again and again, so that no second look finds anything else.
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test/hostile/attacks.h"
#include "test/hostile/gate.h"

namespace om::hostile {
namespace {

struct Lie {
  const char* name;
  void (*tell)(BodyThread& t, BodyState& s);
};

constexpr uint64_t kBad = 0xfffffffffffffff7ull;

const Lie kLies[] = {
    {"fs", [](BodyThread& t, BodyState&) { t.kernel.fs_base = kBad; }},
    {"kind", [](BodyThread& t, BodyState&) { t.kind = 77; }},
    {"sequence", [](BodyThread& t, BodyState&) { t.seq = kBad; }},
    {"waiting",
     [](BodyThread& t, BodyState&) {
       t.kind = kThreadWaiting;
       t.call_nr = 0x7fffffff;
     }},
    {"xsave",
     [](BodyThread& t, BodyState&) {
       const uint64_t slot = reinterpret_cast<uint64_t>(&t) - kSlotBlock;
       memset(reinterpret_cast<void*>(slot + kSlotFrame + kFrameXsave), 0xff, 1024);
     }},
    {"busy", [](BodyThread& t, BodyState&) { t.busy = 0; }},
    {"slots",
     [](BodyThread&, BodyState& s) {
       s.slots_ready = 0xffffffff;
       s.nslots = 0xffffffff;
     }},
    {"touched",
     [](BodyThread&, BodyState& s) {
       s.touched_count = kMaxTouched;
       for (auto& r : s.touched) r = {kBad, 0};
       s.file_range_count = kBad;
       s.brk_now = kBad;
       s.stack_low = kBad;
     }},
    // These are the program's own business: it comes home and has what it asked for.
    {"registers",
     [](BodyThread& t, BodyState&) {
       memset(t.regs, 0xee, sizeof t.regs);
       t.kernel.sigmask = t.kernel.ctid = t.kernel.robust_head = t.kernel.robust_size =
           t.kernel.rseq_address = kBad;
       t.kernel.rseq_size = t.kernel.rseq_signature = 0xeeeeeeee;
       for (auto& a : t.kernel.altstack) a = kBad;
     }},
};

struct Orders {
  const Lie* lie;
  BodyThread* thread;
};

[[noreturn]] void liar(void* given) {
  const Orders orders = *static_cast<Orders*>(given);
  BodyState& s = body_state();
  BodyThread& t = *orders.thread;
  auto* stop = reinterpret_cast<volatile uint32_t*>(&s.stop);
  for (;;) {
    const uint32_t generation = *stop;
    if (generation == 0) {
      t.phase = kBodyUser;
      gate_syscall(SYS_sched_yield);
      continue;
    }
    orders.lie->tell(t, s);
    t.park_seen = generation;
    __atomic_store_n(&t.phase, static_cast<uint32_t>(kBodyParked), __ATOMIC_RELEASE);
  }
}

}  // namespace

void lie_when_parked(const char* what) {
  static Orders orders;
  for (const Lie& lie : kLies) {
    if (strcmp(lie.name, what) == 0) orders = {&lie, block()};
  }
  if (orders.lie == nullptr) _exit(2);
  hidden_thread(liar, &orders);
  static const uint64_t kick = uint64_t{1} << (SIGURG - 1);
  gate_syscall(SYS_rt_sigprocmask, SIG_BLOCK, address(&kick), 0, 8);
  (void)!write(STDOUT_FILENO, "lying\n", 6);
  for (volatile bool on = true; on;) {
  }
}

}  // namespace om::hostile

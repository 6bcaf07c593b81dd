// SPDX-License-Identifier: Apache-2.0
//
// Parks a body thread: everything the keeper needs is in its slot (block and xsave area), and the thread runs
// nothing of the program until BodyState.stop changes. The keeper's kick wakes the futex wait; the word is
// read again each time.
#include "libom/gate/park.h"

#include "libom/abi/kernel.h"
#include "libom/abi/sandbox.h"
#include "libom/abi/sockets.h"
#include "libom/gate/forward.h"
#include "libom/gate/gate.h"
#include "libom/gate/thread.h"
#include "libom/gate/time.h"
#include "libom/gate/xstate.h"
#include "libom/safe/atomic.h"
#include "libom/safe/lock.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"

namespace om::gate {

// Context: gate
void park(BodyThread* t, ThreadKind kind) {
  // Posted Calls must have been executed before home can take over; waited Calls come after them anyway.
  if (kind == kThreadUser) drain(t);
  t->kind = kind;
  t->xsave_bytes = park_vector_state(t);
  t->cpu_ns = static_cast<uint64_t>(body_cpu_ns(true));
  for (;;) {
    const uint32_t generation = safe::load_acquire(&g_body.stop);
    if (generation == 0) break;
    if (t->park_seen != generation) {
      t->park_seen = generation;
      safe::store_release(&t->phase, static_cast<uint32_t>(kBodyParked));
      BodyMessage m{};
      m.type = kBodyIsParked;
      m.slot = t->slot;
      m.a = generation;
      safe::sys(kNr_write, kKeeperFd, &m, sizeof m);
    }
    safe::futex_wait(&g_body.stop, generation);
  }
  t->park_seen = 0;
  t->phase = kBodyGate;
  t->kick = 0;
}

}  // namespace om::gate

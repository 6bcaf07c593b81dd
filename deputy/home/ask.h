// SPDX-License-Identifier: Apache-2.0
//
// Asks the threads of a process that is about to leave, by injected calls, what only they can tell, and writes their
// slots on the way. All threads are stopped; nothing of the program is changed.
#pragma once

#include "deputy/home/home_side.h"
#include "deputy/home/thread_plans.h"

namespace om::deputy {

// Of the program as a whole.
struct Settings {
  uint64_t brk_now = 0;
  bool denies_exec = false;  // PR_SET_MDWE
};

// Completes `plans` (alternate stacks, clear_child_tid). CPU_TIMER, OWN_TRAPS.
Verdict<Settings> ask_threads(HomeSide& home, StoppedProcess& stop, ThreadPlans& plans);

}  // namespace om::deputy

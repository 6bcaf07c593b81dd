// SPDX-License-Identifier: Apache-2.0
//
// Pieces of a thread's start that the restorer shares with clone: see thread.cc.
#pragma once

#include <stdint.h>

#include "libom/gate/gate.h"

namespace om::gate {

// Signals of the body's own kernel: kicks only (the program's are home's business).
// Context: gate
void block_kicks();
// Context: gate
void allow_kicks();
// Registers the calling thread with the body's kernel: %gs, landing stack, ctid, rseq.
// Context: gate, restore
void enter_thread(BodyThread* t);
// Makes the memory of a slot accessible. 0 or -errno.
// Context: gate, restore
long prepare_slot(uint32_t slot);
// Does what the kernel would do with a dying thread's robust futexes.
// Context: gate
void walk_robust_list(BodyThread* t);

// Resumes the call that a restored thread was in: generic, or by hand for split rows.
// Context: gate
long resume_call(GateCall& c);

}  // namespace om::gate

// SPDX-License-Identifier: Apache-2.0
//
// Delivers the program's signals in the body.
#pragma once

#include "libom/gate/gate.h"

namespace om::gate {

// A thread starves if, over some hundred of its calls and returns from handlers, a signal gets ahead of more than a
// third of them: signals arrive faster than round trips. Its next return from a handler brings the process home.
constexpr uint32_t kStarved = 400;
// Context: gate
void note_starving(BodyThread* t, bool called_off);
// Builds one frame per record on the program's stack and points regs at the handler. 0, or -EFAULT if the
// stack is not writable (the records from `index` on are not delivered).
// Context: gate
long deliver(BodyThread* t, const SignalRecord* records, uint32_t count, uint32_t* index);
// The program's stack cannot hold a signal frame: the signals go back home, where the kernel decides.
// Context: gate
void bad_stack(BodyThread* t);
// Handles a synchronous fault of the program: fault_* and regs are filled in.
// Context: gate
void serve_fault(BodyThread* t);
// Resets the vector state to its initial values.
// Context: gate
void init_vector_state(BodyThread* t);

}  // namespace om::gate

// SPDX-License-Identifier: Apache-2.0
//
// Signals of the program, delivered in the body.
#pragma once

#include "libom/gate/gate.h"

namespace om::gate {

// A thread starves if more than a third of its calls and returns from handlers find that the next signal has come
// before them, for some hundred of them in a row: signals come faster than a round trip takes. Its next return from a
// handler has the process come home.
constexpr uint32_t kStarved = 400;
// Context: gate
void note_starving(BodyThread* t, bool called_off);
// Builds one frame per record on the program's stack and points regs at the handler. 0, or -EFAULT when the
// stack is not writable (the records from `index` on are not delivered).
// Context: gate
long deliver(BodyThread* t, const SignalRecord* records, uint32_t count, uint32_t* index);
// The program's stack cannot hold a signal frame: the signals go back home, where the kernel decides.
// Context: gate
void bad_stack(BodyThread* t);
// A synchronous fault of the program: fault_* and regs are filled in.
// Context: gate
void serve_fault(BodyThread* t);
// Resets the vector state to its initial values.
// Context: gate
void init_vector_state(BodyThread* t);

}  // namespace om::gate

// SPDX-License-Identifier: Apache-2.0
//
// Which CPU a thread is on, as the program learns it: getcpu and the area of restartable sequences (rseq).
//
// A program may use the number as an index for as many CPUs as home has. A body that may run on CPUs whose numbers home
// does not have (BodyState.cpu_limit) therefore has no areas registered with its own kernel, which would write those
// numbers there. The areas say "not known" (-1), as before a registration; the C library asks getcpu instead, and that
// is answered below home's count. (For a new thread of one that does not know its CPU glibc registers no area at all.)
// Home's kernel has the areas again when the process is back. Programs with sequences of their own keep to home's
// numbers (deputy/moves/cpu_use.h).
#pragma once

#include <stdint.h>

#include "libom/gate/gate.h"

namespace om::gate {

// rseq(2) for the calling thread; flags 0 or 1 (unregister). 0 or -errno, as the kernel has it.
// Context: gate, restore
long register_sequences(BodyThread* t, uint64_t address, uint32_t size, uint64_t flags,
                        uint32_t signature);

// The kernel takes a thread that gets a signal in the middle of a sequence to its abort handler. So does this, for
// areas that the body's kernel does not know; others it leaves alone. To be called before registers leave the body or
// go into a signal's frame.
// Context: gate
void abort_sequence(BodyThread* t);

}  // namespace om::gate

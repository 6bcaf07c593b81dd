// SPDX-License-Identifier: Apache-2.0
//
// Vector state between the CPU and signal frames. Frames in the program's memory are always in home's XSAVE
// layout; the CPU here may have another (component offsets differ between makers, sizes between models).
#pragma once

#include <stdint.h>

#include "libom/abi/body.h"

extern "C" {
void om_xsave(void* area);
void om_xrstor(const void* area);
}

namespace om::gate {

// The live state, in home's layout, in memory of the slot that the next call overwrites.
// Context: gate
uint8_t* save_vector_state(BodyThread* t);
// The state of a frame at `fpstate` (0: initial state) becomes live. -EFAULT when it cannot be read.
// Context: gate
long load_vector_state(BodyThread* t, uint64_t fpstate);
// The live state in this CPU's layout, for the keeper. Returns its bytes.
// Context: gate
uint64_t park_vector_state(BodyThread* t);

// Component by component; features without a place in `to` are dropped (home's features are a subset of
// this CPU's, so that only happens to states that cannot be live). `out` has room for to.size bytes.
// Context: any
void convert_xstate(const XstateTable& from, const uint8_t* in, const XstateTable& to,
                    uint8_t* out);

}  // namespace om::gate

// SPDX-License-Identifier: Apache-2.0
//
// Moves vector state between the CPU and signal frames. Frames in the program's memory always have home's XSAVE
// layout; the CPU here may have another (component offsets differ between vendors, sizes between models).
#pragma once

#include <stdint.h>

#include "libom/abi/body.h"

extern "C" {
void om_xsave(void* area);
void om_xrstor(const void* area);
}

namespace om::gate {

// Saves the live state in home's layout, in slot memory that the next call overwrites.
// Context: gate
uint8_t* save_vector_state(BodyThread* t);
// Loads the state of a frame at `fpstate` (0: initial state). 0, or -EFAULT if it cannot be read.
// Context: gate
long load_vector_state(BodyThread* t, uint64_t fpstate);
// Saves the live state in this CPU's layout, for the keeper. Its size in bytes.
// Context: gate
uint64_t park_vector_state(BodyThread* t);

// Converts component by component; features without a place in `to` are dropped (home's features are a subset of
// this CPU's, so that only happens to states that cannot be live). `out` has room for to.size bytes.
// Context: any
void convert_xstate(const XstateTable& from, const uint8_t* in, const XstateTable& to,
                    uint8_t* out);

}  // namespace om::gate

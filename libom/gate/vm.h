// SPDX-License-Identifier: Apache-2.0
//
// The address space of the body.
#pragma once

#include "libom/gate/gate.h"

namespace om::gate {

// Lets the body's stack grow to its new soft limit, as far as there is room.
// Context: gate
void grow_stack_room(BodyThread* t, uint64_t limit);

}  // namespace om::gate

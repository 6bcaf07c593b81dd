// SPDX-License-Identifier: Apache-2.0
//
// The address space of the body.
#pragma once

#include "libom/gate/gate.h"

namespace om::gate {

// The soft limit of the stack has become this: as far as there is room, the body's stack may have that size.
// Context: gate
void grow_stack_room(BodyThread* t, uint64_t limit);

}  // namespace om::gate

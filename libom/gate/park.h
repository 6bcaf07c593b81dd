// SPDX-License-Identifier: Apache-2.0
//
// A thread of the body stands still for the keeper.
#pragma once

#include "libom/gate/gate.h"

namespace om::gate {

// Stands still until the keeper lets go. regs, kind and call_* describe the thread.
// Context: gate
void park(BodyThread* t, ThreadKind kind);
// Kicked: parks or collects signals.
// Context: gate
void handle_kick(BodyThread* t);

}  // namespace om::gate

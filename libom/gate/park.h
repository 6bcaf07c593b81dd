// SPDX-License-Identifier: Apache-2.0
//
// Parks a thread of the body for the keeper.
#pragma once

#include "libom/gate/gate.h"

namespace om::gate {

// Parks until the keeper lets the thread go. regs, kind and call_* describe the thread.
// Context: gate
void park(BodyThread* t, ThreadKind kind);
// Answers a kick: parks or collects signals.
// Context: gate
void handle_kick(BodyThread* t);

}  // namespace om::gate

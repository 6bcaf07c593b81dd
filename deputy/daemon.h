// SPDX-License-Identifier: Apache-2.0
//
// What a deputy says to its daemon: wire::Daemon of common/schema/deputy.capnp.
#pragma once

#include "deputy/control.h"
#include "deputy/session/surroundings.h"

namespace om::deputy {

// Over `control`, which outlives it. Without a daemon nothing is said, and a question is answered TARGET_UNREACHABLE.
Surroundings daemon_of(Control& control);

}  // namespace om::deputy

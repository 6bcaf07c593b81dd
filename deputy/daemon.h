// SPDX-License-Identifier: Apache-2.0
//
// What a deputy says to its daemon: wire::Daemon of common/schema/deputy.capnp.
#pragma once

#include "deputy/control.h"
#include "deputy/session/surroundings.h"

namespace om::deputy {

// Talks over `control`, which must outlive it. Without a daemon it says nothing, and answers questions with
// TARGET_UNREACHABLE.
Surroundings daemon_of(Control& control);

}  // namespace om::deputy

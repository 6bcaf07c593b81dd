// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "deputy/process.h"

namespace om::deputy {

// Tells the keeper to let the body run, and begins to watch. Preconditions: home has decided (Process::leave).
//
// A failure from here on is a lost session (session/watch.h), with one exception: as long as the body has done nothing
// that anybody has seen, home takes the process back and returns the reason. Without the keeper's answer nobody knows
// whether the body runs, and it may act at any moment; once it has, the process has moved.
Step commit(Process& process);

}  // namespace om::deputy

// SPDX-License-Identifier: Apache-2.0
//
// Threads of home while the process is away: stopped for a homecoming or a look, brought to rest, and let go on.
#pragma once

#include <vector>

#include "deputy/home/home_side.h"
#include "libom/abi/memory.h"

namespace om::deputy {

// Stops the process. What its threads are made to run for a return has to come to its end: given up, it would leave
// one that serves nobody, or a return that cannot be taken back.
Verdict<StoppedProcess> stop_executors(const HomeSide& home);
// Lets executors run until each is idle, blocked in the kernel, or parked with a finished call. UNINTERRUPTIBLE if
// one does not come to rest within 5 s.
Step settle_executors(HomeSide& home, StoppedProcess& stop);
// Notes where an executor goes on if we die while it runs code for us.
Step guard_executor(const HomeSide& home, StoppedThread& t);
Step guard_executors(const HomeSide& home, StoppedProcess& stop);
// From now on finished calls are not answered.
Step hold_executors(const HomeSide& home);
// Unless the process has come home meanwhile: the word is libom's, and the next departure's, then.
void let_executors_answer(const HomeSide& home);
// What executors have mapped for the calls that they are in.
Result<std::vector<Range>> executor_memory(const HomeSide& home);

}  // namespace om::deputy

// SPDX-License-Identifier: Apache-2.0
//
// The threads at home while the process is away: stopping them for a homecoming or a look, bringing them to rest, and
// letting them go on.
#pragma once

#include <vector>

#include "deputy/home/home_side.h"
#include "libom/abi/memory.h"

namespace om::deputy {

// Stops the process. Whatever we have its threads run for a return must run to its end: giving up would leave a thread
// that serves nobody, or a return that cannot be taken back.
Verdict<StoppedProcess> stop_executors(const HomeSide& home);
// Calls that wait at home for earlier ones of other threads. Those may never come if the body is lost.
enum class Unbegun : bool { kAwait, kForget };

// Lets executors run until each is idle, blocked in the kernel, or parked with a finished call. UNINTERRUPTIBLE if
// one does not come to rest within 5 s.
Step settle_executors(HomeSide& home, StoppedProcess& stop, Unbegun unbegun = Unbegun::kAwait);
// Notes where an executor goes on if we die while it runs code for us.
Step guard_executor(const HomeSide& home, StoppedThread& t);
Step guard_executors(const HomeSide& home, StoppedProcess& stop);
// From now on executors do not answer finished calls.
Step hold_executors(const HomeSide& home);
// Ends that, unless the process has come home meanwhile: then the word is libom's, and the next departure's.
void let_executors_answer(const HomeSide& home);
// Memory that executors have mapped for the calls that they are in.
Result<std::vector<Range>> executor_memory(const HomeSide& home);

}  // namespace om::deputy

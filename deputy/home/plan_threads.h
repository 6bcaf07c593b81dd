// SPDX-License-Identifier: Apache-2.0
//
// What the threads of a process stopped for a departure are doing; or, to roll back a departure that another deputy
// made, what they were doing then.
#pragma once

#include <cstddef>
#include <vector>

#include "deputy/home/home_side.h"
#include "deputy/home/thread_plans.h"

namespace om::deputy {

// The vector state that a departure, or a decided return, has put into a slot: as much as `t` has.
Verdict<std::vector<std::byte>> saved_xstate(const HomeSide& home, const StoppedThread& t,
                                             uint32_t slot);

// Puts the threads into the order of their slots. One that is still completing a transfer that it began away keeps its
// slot, where its executor runs; the others go around it. Slots are numbered without gaps. IN_CALL if that fails.
Step place_threads(const HomeSide& home, std::vector<StoppedThread>& threads);

// Places the threads of `stop` and classifies each. Executors that are still ending a call see our stop in its result
// from here on, whether the move comes about or not. GS_BASE, OWN_TRAPS, IN_CALL, INTERNAL if they are more than there
// are slots.
Verdict<ThreadPlans> plan_threads(const HomeSide& home, StoppedProcess& stop);

// Recovers the plans of a departure from its slots. Preconditions: all threads of `stop` are executors.
Verdict<ThreadPlans> recall_plans(const HomeSide& home, StoppedProcess& stop);

}  // namespace om::deputy

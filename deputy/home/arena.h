// SPDX-License-Identifier: Apache-2.0
//
// libom's own memory in a process that is about to leave: where it lies, and which slot is whose. All threads are
// stopped; nothing of the program is changed.
#pragma once

#include "deputy/home/home_side.h"
#include "deputy/home/thread_plans.h"
#include "libom/abi/home.h"

namespace om::deputy {

// Reserves libom's memory if it is not there yet, and makes slots accessible as needed. HOME_MEMORY.
Step set_up_arena(HomeSide& home, StoppedProcess& stop, const ThreadPlans& plans);
// Unmaps it, once no thread is in it any more and all have the registers that they go on with: it would count towards
// the program's limits and be in its way. If we die meanwhile it stays, and nobody knows of it.
void give_arena_back(HomeSide& home, StoppedProcess& stop);
// Chooses descriptor numbers for libom: consecutive, as high as the hard limit allows, none of them the program's.
// FD_LIMIT.
Step choose_descriptors(HomeSide& home);

}  // namespace om::deputy

// SPDX-License-Identifier: Apache-2.0
//
// libom's own memory in a process that is about to leave: where it lies, and which slot is whose. All threads are
// stopped; nothing of the program is changed.
#pragma once

#include "deputy/home/home_side.h"
#include "deputy/home/thread_plans.h"
#include "libom/abi/home.h"

namespace om::deputy {

// Reserves libom's memory if it is not there and makes slots accessible as they are needed. HOME_MEMORY.
Step set_up_arena(HomeSide& home, StoppedProcess& stop, const ThreadPlans& plans);
// When no thread is in it any more and all have the registers with which they go on: it would count in the program's
// limits and lie in its way. Should we die meanwhile, it stays, and nobody knows of it.
void give_arena_back(HomeSide& home, StoppedProcess& stop);
// Descriptor numbers for libom: together, as high as the hard limit allows, none of them the program's. FD_LIMIT.
Step choose_descriptors(HomeSide& home);

}  // namespace om::deputy

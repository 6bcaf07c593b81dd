// SPDX-License-Identifier: Apache-2.0
//
// Turns a stopped process into its own deputy: what the last steps of a departure do to it and the libom in it. If this
// program dies on the way, the threads put everything back by themselves until the phase is kHomeAway.
#pragma once

#include <stdint.h>

#include <span>

#include "deputy/home/home_side.h"
#include "deputy/home/thread_plans.h"
#include "libom/abi/memory.h"

namespace om::deputy {

struct HomeConnections {
  const uint8_t (&session)[16];
  uint32_t member;
  std::span<const Range> drops;  // memory that home gives back once the body has acted
  // Called as long as the process is away, for new threads and lost connections: what it refers to outlives that.
  HomeSocket::Channels channels;
};

// Makes the process able to be a deputy: socket to the deputy, channels, catchers in place of the program's handlers.
// undo_leaving() can take it back. FD_LIMIT, HOME_MEMORY, INTERNAL.
Step connect_home(HomeSide& home, StoppedProcess& stop, const ThreadPlans& plans,
                  HomeConnections with);
// The point of no return at home: every thread gets its executor, or goes on with the call that it is in, and runs.
Step leave_home(HomeSide& home, StoppedProcess& stop, const ThreadPlans& plans);
// After either has failed: puts dispositions and descriptors back. Preconditions: the threads are still stopped.
void undo_leaving(HomeSide& home, StoppedProcess& stop, const ThreadPlans& plans);

}  // namespace om::deputy

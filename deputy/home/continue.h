// SPDX-License-Identifier: Apache-2.0
//
// A stop must not show in a result, even when the process stays at home afterwards (a refused move, a look at the
// stack): a transfer that the kernel has cut short, or a call that it has ended with EINTR, goes on in libom's
// om_continue (abi/continue.h).
#pragma once

#include <sys/user.h>

#include "deputy/home/target.h"

namespace om::deputy {

// `regs`: of a thread in an event stop. True if it has changed them, and written to the thread's stack, so that the
// call will be completed. `blocked_ms`: how long the thread had been in it. `in_program`: only the program can complete
// it (a socket under a timeout, an array of messages); no executor takes over what is left.
bool continue_call(const Target& target, double blocked_ms, user_regs_struct& regs,
                   bool* in_program = nullptr);

}  // namespace om::deputy

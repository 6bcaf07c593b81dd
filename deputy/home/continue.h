// SPDX-License-Identifier: Apache-2.0
//
// A stop must not show in a result, also when the process stays at home after it (a move that is refused, a look at
// the stack): a transfer that the kernel has ended short, and a call that it has ended with EINTR, go on in libom's
// om_continue (abi/continue.h).
#pragma once

#include <sys/user.h>

#include "deputy/home/target.h"

namespace om::deputy {

// `regs` of a thread in an event stop. True if they are changed, and its stack written to, so that the call is
// completed. `blocked_ms`: how long the thread had been in it. `in_program`: only there can it be completed (a socket
// under a timeout, an array of messages); no executor takes over what is left.
bool continue_call(const Target& target, double blocked_ms, user_regs_struct& regs,
                   bool* in_program = nullptr);

}  // namespace om::deputy

// SPDX-License-Identifier: Apache-2.0
//
// What follows from what is noticed while a process is away (session/watch.h):
//
//   what is noticed                      what follows
//   a call that only home can run        the process comes home
//   the keeper is lost                   roll back, or, if the body has already acted, end the process: never executed
//                                        twice, never silent
//   the process ends, or calls execve    the body ends
#pragma once

#include "deputy/process.h"

namespace om::deputy {

// Looks after what tasks have noticed. Preconditions: top level, no move is under way.
void attend(Process& process);

}  // namespace om::deputy

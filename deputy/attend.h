// SPDX-License-Identifier: Apache-2.0
//
// What the deputy does about things that it notices while the process is away (session/watch.h):
//
//   what is noticed                      what follows
//   a call that only home can run        the process comes home
//   the keeper is lost                   roll back, or, if the body has already acted, end the process: never executed
//                                        twice, never silent
//   the process ends, or calls execve    the body ends
#pragma once

#include "deputy/process.h"

namespace om::deputy {

// Acts on what tasks have noticed. Preconditions: top level, no move under way.
void attend(Process& process);

}  // namespace om::deputy

// SPDX-License-Identifier: Apache-2.0
//
// The last part of a homecoming, and of a rollback: every thread leaves libom with the registers, the call, the signals
// and the kernel state that the program's thread must have.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "deputy/home/home_side.h"
#include "libom/abi/thread.h"

namespace om::deputy {

// Takes what the user should find in `om events`.
using Note = std::function<void(ReasonCode code, const std::string& message)>;

// `states` and `xsaves` belong to the threads in `stop`, in any order; `cpu_ns` is the CPU time that the body has used.
// A reason means that nothing has been decided, or that the process has ended. Once home has decided (kHomeReturning),
// a failure ends this program: another deputy completes the return from what is in the slots.
Step restore_threads(HomeSide& home, StoppedProcess& stop, const std::vector<ThreadState>& states,
                     const std::vector<std::vector<std::byte>>& xsaves, uint64_t cpu_ns,
                     const Note& note);

}  // namespace om::deputy

// SPDX-License-Identifier: Apache-2.0
//
// A thread inside the vDSO (one that polls the clock nearly always is) cannot be moved: its registers mean nothing to
// another kernel's. We let it run until it has returned.
#pragma once

#include "common/movable/verdict.h"
#include "deputy/home/target.h"
#include "deputy/home/tracee.h"

namespace om::deputy {

bool is_in_vdso(const Target& target, uint64_t rip);

// Preconditions: it is stopped. Leaves it stopped outside, with the signal mask that it had; UNINTERRUPTIBLE if it does
// not come out within `limit`, then it is stopped wherever it is.
Step leave_vdso(const Target& target, Tracee& thread, std::chrono::milliseconds limit);

// Restores the mask and the return address of a thread whose deputy died in leave_vdso(). Preconditions: it is stopped.
Step undo_leave_vdso(const Target& target, Tracee& thread);

}  // namespace om::deputy

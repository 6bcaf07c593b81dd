// SPDX-License-Identifier: Apache-2.0
//
// The system call itself, and what repairs the effects of the deputy's stops.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Runs exec_nr/exec_args inside the cancellable window and repairs the effects of our stops (repetition, rest).
// Context: exec
long run_window(HomeThread* t, const SyscallDesc* desc);
// Handles `r`, the result of the window or the transplant: repeats, continues, classifies. Final result.
// Context: exec
long after_window(HomeThread* t, const SyscallDesc* desc, long r);
// Makes the call itself: exec_nr with exec_args, cancelled (kAborted) by a signal that arrives before it blocks.
// Context: exec
long window(HomeThread* t);
// Whether the deputy's stop may have made the call return EINTR or short. The deputy reports its stops, but before it
// stops executors it asks them to hold: if it dies then, nobody reports. was_stopped() clears the report.
// Context: exec
bool was_stopped(HomeThread* t);
bool is_stopped(HomeThread* t);

// CLOCK_MONOTONIC, ns. Uses the vDSO if the kernel has one: most calls ask.
// Context: exec
uint64_t monotonic_ns();
extern int (*g_vdso_clock_gettime)(int clock, k::Timespec* ts);  // shim/init.cc writes it

}  // namespace om::stub

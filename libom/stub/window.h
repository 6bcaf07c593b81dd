// SPDX-License-Identifier: Apache-2.0
//
// The system call itself, with what stops of the deputy need.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Runs exec_nr/exec_args inside the cancellable window, with what stops of ours need (repetition, rest).
// Context: exec
long run_window(HomeThread* t, const SyscallDesc* desc);
// The window or the transplant has returned `r`: repeats, continues, classifies. Final result.
// Context: exec
long after_window(HomeThread* t, const SyscallDesc* desc, long r);
// The call itself: exec_nr with exec_args, called off (kAborted) by a signal that comes before it blocks.
// Context: exec
long window(HomeThread* t);
// Whether a stop of the deputy may have made the call return EINTR or short. It tells, but before it stops executors it
// asks them to hold: should it die then, nobody tells. The first of these forgets what was told.
// Context: exec
bool was_stopped(HomeThread* t);
bool is_stopped(HomeThread* t);

// CLOCK_MONOTONIC, ns. By the vDSO, if the kernel has one: most calls ask.
// Context: exec
uint64_t monotonic_ns();
extern int (*g_vdso_clock_gettime)(int clock, k::Timespec* ts);  // shim/init.cc writes it

}  // namespace om::stub

// SPDX-License-Identifier: Apache-2.0
//
// Tries out the abilities of this machine that moving programs requires, each in a child process with the caller's own
// rights. The results are errno values, 0 for "works". Called by the checks of `om doctor`.
#pragma once

namespace om::cli {

// Whether CPU and kernel let a program save its vector state (XSAVE) and set its GS base.
int probe_registers();

// Whether a seccomp filter can raise SIGSYS (SECCOMP_RET_TRAP).
int probe_filter();

// Whether a process can use ptrace to stop one that permits it and is not its child, and read its vector state.
int probe_tracing();

// unshare(flags).
int probe_unshare(int flags);

}  // namespace om::cli

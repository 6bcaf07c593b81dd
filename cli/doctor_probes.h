// SPDX-License-Identifier: Apache-2.0
//
// Abilities of this machine that moving programs needs, each tried out in a child process with the caller's own
// rights. The results are errno values, 0 for "works". Called by the checks of `om doctor`.
#pragma once

namespace om::cli {

// The CPU and the kernel let a program save its vector state (XSAVE) and set its GS base.
int probe_registers();

// A seccomp filter can raise SIGSYS (SECCOMP_RET_TRAP).
int probe_filter();

// A process that allows it is stopped by ptrace by one that is not its parent, and shows its vector state.
int probe_tracing();

// unshare(flags).
int probe_unshare(int flags);

}  // namespace om::cli

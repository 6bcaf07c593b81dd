// SPDX-License-Identifier: Apache-2.0
//
// What a stopped thread is doing, and how it goes on in both halves: the body's (ThreadState) and home's (an
// executor that waits for Calls, or the blocked call itself, which goes on at home as if nothing had
// happened).
//
//   in program code           user: runs on in the body; executor idle
//   in a local call (futex)   user: rewound to its system call instruction, or a spurious wake-up
//   in any other blocked call waiting: the call stays at home; the kernel restarts it in libom's gate
//   partly done transfer      waiting: the executor transfers the rest, the sum is the result
#pragma once

#include <stdint.h>

#include <vector>

#include "common/movable/verdict.h"
#include "deputy/home/stopped.h"
#include "deputy/home/target.h"
#include "libom/abi/memory.h"
#include "libom/abi/thread.h"

namespace om::deputy {

enum class AtHome : uint8_t {
  kIdle,      // executor receives
  kRestart,   // transplant: the kernel restarts the call (orig_rax and rax stay the kernel's)
  kReissue,   // EINTR has lost the call: the executor issues it again with the remaining time
  kContinue,  // the executor transfers the rest
  kLate,      // as kContinue, and has been doing so since the process was last away
};

struct ThreadPlan {
  ThreadState state{};  // slot and altstack, ctid are filled in later
  AtHome at_home = AtHome::kIdle;
  uint64_t deadline_ns = 0;   // CLOCK_MONOTONIC end of a reissued call, 0: none
  uint64_t started_ns = 0;    // CLOCK_MONOTONIC, about when the blocked call began
  user_regs_struct resume{};  // resumes the program natively, without kernel restart state
};

// Moves threads out of restartable sequences, which mean nothing elsewhere. Refuses if one is in the vDSO.
Step settle_position(StoppedProcess& process, const Target& target);

// What a stop has done to the call that `regs` come right after.
enum class Cut : uint8_t {
  kNot,          // nothing, or the kernel restarts it by itself
  kShort,        // a transfer done in part: rax bytes
  kInterrupted,  // EINTR, though there was no signal
};
Cut cut_of(const Target& target, const user_regs_struct& regs);

// CLOCK_MONOTONIC nanoseconds at which a call that loses its remaining time has to end; 0 if it has no end.
uint64_t call_deadline(const Target& target, uint64_t nr, const uint64_t args[6],
                       double blocked_ms);

// IN_CALL for a call that only home can finish and that cannot be carried over.
Verdict<ThreadPlan> classify(const Target& target, const StoppedThread& thread);

// Memory of the program that the blocked calls of `plans` still read or write; it must stay at home as it is.
std::vector<Range> pinned_ranges(const Target& target, const std::vector<ThreadPlan>& plans);

// Where the first `bytes` of a struct iovec[count] at `address` lie. Empty if the kernel would refuse so many.
std::vector<Range> parts_of_vector(const Target& target, uint64_t address, uint64_t count,
                                   uint64_t bytes);

constexpr uint64_t kMaxAnswer = uint64_t{32} << 20;  // outputs of a call that is carried over

}  // namespace om::deputy

// SPDX-License-Identifier: Apache-2.0
//
// One stopped thread under ptrace: registers, vector state, signal mask, and system calls made on its behalf. No signal
// is ever sent; PTRACE_INTERRUPT makes the stops. Must be used from one OS thread (ptrace is tied to the tracer's). If
// this process dies, the kernel lets every tracee run from whatever registers it has: every state that a thread is left
// in here is one from which libom finds its way (see inject()).
#pragma once

#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "common/base/result.h"

namespace om::deputy {

using Deadline = std::chrono::steady_clock::time_point;

struct RseqArea {
  uint64_t address = 0;  // 0: not registered
  uint32_t size = 0, signature = 0;
};

// One wait for a thread: short naps at first, and a look at it now and then. The kernel does not report the end of a
// main thread to its tracer as long as other threads of the process are there, even as zombies that the same tracer has
// not waited for yet.
class Wait {
 public:
  // Deadline::max(): as long as the thread lives.
  Wait(pid_t tid, Deadline deadline) : tid_(tid), deadline_(deadline) {}

  bool is_over() const { return std::chrono::steady_clock::now() > deadline_; }
  // False: the thread has ended.
  bool nap();

 private:
  pid_t tid_;
  Deadline deadline_;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now(),
                                        next_look_ = since_;
  std::chrono::microseconds nap_{20};
  bool is_told_ = false;
};

class Tracee {
 public:
  explicit Tracee(pid_t tid) : tid_(tid) {}

  pid_t tid() const { return tid_; }
  bool stopped() const { return stopped_; }
  bool gone() const { return gone_; }

  // SEIZE. ESRCH if the thread has ended, EPERM.
  Result<void> seize();
  // Asks for a stop; poll() or wait_stop() sees it.
  void interrupt();
  // Looks at what has happened, without waiting. True if the thread is now in an event stop (or gone).
  bool poll();
  // The same, waiting until the deadline; Deadline::max(): as long as the thread lives. ETIMEDOUT.
  Result<void> wait_stop(Deadline deadline);
  // Whether the stop found it in a group stop (SIGSTOP, Ctrl-Z).
  bool group_stopped() const { return group_stop_; }
  // Lets it run; it stays seized.
  void resume();
  // Lets a stopped thread take a signal that is pending and not blocked: it stops again with the handler entered and
  // nothing of it run, or has ended. If the signal is gone, the thread runs on for a moment. ETIMEDOUT as wait_stop().
  Result<void> take_signal(Deadline deadline);
  // Lets it run and detaches from it. Preconditions: it is stopped; the kernel does not let go of others.
  void detach();

  Result<user_regs_struct> regs() const;
  Result<void> set_regs(const user_regs_struct& regs) const;
  Result<std::vector<std::byte>> xstate() const;
  Result<void> set_xstate(std::span<const std::byte> area) const;
  Result<uint64_t> signal_mask() const;
  Result<void> set_signal_mask(uint64_t mask) const;
  Result<RseqArea> rseq() const;
  // Whether its system calls are trapped (PR_SET_SYSCALL_USER_DISPATCH). False where the kernel does not say (before
  // 6.4).
  bool has_user_dispatch() const;
  // Robust list head and size.
  Result<std::pair<uint64_t, uint64_t>> robust_list() const;

  // Makes the thread execute one system call with the registers of `base`, except rip = `site` (a syscall instruction),
  // rsp = `stack`, and the call's own. Blocks all signals once its registers are libom's. Leaves it so, in an event
  // stop with arbitrary registers of libom's; the caller sets final ones. Result: what the kernel returned (-errno
  // included). Error: the thread is gone, or did not come back by the deadline (as for wait_stop()).
  Result<int64_t> inject(const user_regs_struct& base, uint64_t site, uint64_t stack, uint64_t nr,
                         std::span<const uint64_t> args, Deadline deadline);
  // Executes one instruction. Success: the thread has stopped again.
  Result<void> single_step(Deadline deadline);

 private:
  Result<int> wait_any(Deadline deadline);
  // For a stop that is not yet the one asked for: passes a signal on.
  void pass_on(int status);
  // Takes the status of an event stop.
  void stands(int status);

  pid_t tid_;
  bool stopped_ = false;
  bool gone_ = false;
  bool group_stop_ = false;
};

}  // namespace om::deputy

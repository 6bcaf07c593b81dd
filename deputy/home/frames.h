// SPDX-License-Identifier: Apache-2.0
//
// ResumeFrames: how a thread that runs our code finds its way back if the deputy dies. Written before the thread's
// registers and mask are changed; libom/stub/remote.cc is the other end.
#pragma once

#include <algorithm>
#include <iterator>

#include "deputy/home/stopped.h"
#include "libom/abi/kernel.h"
#include "libom/abi/layout.h"
#include "libom/abi/thread.h"

namespace om::deputy {

inline ResumeFrame frame_of(const user_regs_struct& r, uint64_t sigmask) {
  ResumeFrame frame{};
  const uint64_t in_order[] = {r.r8,  r.r9,  r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi,
                               r.rsi, r.rbp, r.rbx, r.rdx, r.rax, r.rcx, r.rsp, r.rip, r.eflags};
  static_assert(std::size(in_order) == kGprCount);
  std::copy(std::begin(in_order), std::end(in_order), frame.gpr);
  frame.sigmask = sigmask;
  return frame;
}

// How a stopped executor goes on. Does by hand what the kernel would do about an interrupted call: all of libom's calls
// are followed by code that copes with a second beginning.
inline ResumeFrame executor_frame(const StoppedThread& t) {
  constexpr int64_t kErestartsys = -512, kErestartnointr = -513, kErestartnohand = -514,
                    kErestartBlock = -516;
  constexpr uint64_t kRestartSyscall = 219, kSyscallBytes = 2;
  user_regs_struct r = t.regs;
  const auto rax = static_cast<int64_t>(r.rax);
  if (t.in_call() && (rax == kErestartsys || rax == kErestartnointr || rax == kErestartnohand ||
                      rax == kErestartBlock)) {
    r.rax = rax == kErestartBlock ? kRestartSyscall : r.orig_rax;
    r.rip -= kSyscallBytes;
  }
  return frame_of(r, t.kernel.sigmask);
}

// The program's alternate stack, as sigaltstack(2) takes it.
inline k::StackT altstack_of(const KernelThread& kernel) {
  const auto& [sp, flags, size] = kernel.altstack;
  return {sp, size != 0 ? static_cast<uint32_t>(flags) : k::kSsDisable, 0, size};
}

}  // namespace om::deputy

// SPDX-License-Identifier: Apache-2.0
//
// A blocked call of the program that a stop of the deputy's has cut short while the process stays at home: the
// deputy writes this below the thread's red zone and lets it go on in om_continue (shim/continue.S), which makes
// the rest of the call and returns to the program with the sum.
#pragma once

#include <stdint.h>

namespace om {

constexpr uint32_t kContinueVectors = 16;

struct ContinueFrame {
  uint64_t nr;
  uint64_t args[6];  // of the rest: what is left of buffer and count, or of the time
  uint64_t done;     // bytes transferred before the stop; the answer if the rest fails
  // The program's registers, which the call must not show as changed.
  uint64_t rdi, rsi, rdx, r10, r8, r9;
  uint64_t flags, rip, rsp;
  // What `args` may point to.
  uint64_t time[2];     // struct timespec
  uint64_t message[7];  // struct msghdr
  uint64_t vector[kContinueVectors][2];
};
static_assert(sizeof(ContinueFrame) == 26 * 8 + kContinueVectors * 16);

}  // namespace om

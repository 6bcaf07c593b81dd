// SPDX-License-Identifier: Apache-2.0
//
// A blocked call of the program that a stop of the deputy's has cut short: the deputy writes this below the thread's
// red zone and lets it go on in om_continue (shim/continue.S), which makes the rest of the call and returns to the
// program with the result of the whole.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/rest.h"

namespace om {

constexpr uint32_t kContinueVectors = 16;

struct ContinueFrame {
  // The program's registers, which the call must not show as changed.
  uint64_t rdi, rsi, rdx, r10, r8, r9;
  uint64_t flags, rip, rsp;
  uint64_t timeout[2];  // struct timespec of a call that has one: what is left of it
  uint64_t limit_to;    // where recvmmsg's own timeout is, 0 none
  RestOfCall<kContinueVectors> rest;
};
static_assert(offsetof(ContinueFrame, flags) == 48 && offsetof(ContinueFrame, rip) == 56 &&
              offsetof(ContinueFrame, rsp) == 64);

}  // namespace om

// SPDX-License-Identifier: Apache-2.0
//
// Completes a blocked call of the program that the deputy's stop has cut short: the deputy writes this below the
// thread's red zone and resumes the thread in om_continue (shim/continue.S), which carries out the rest of the call and
// returns to the program with the result of the whole.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/rest.h"

namespace om {

constexpr uint32_t kContinueVectors = 16;

struct ContinueFrame {
  // The program's registers, which must appear unchanged after the call.
  uint64_t rdi, rsi, rdx, r10, r8, r9;
  uint64_t flags, rip, rsp;
  uint64_t timeout[2];  // struct timespec of a call that has one: what is left of it
  uint64_t limit_to;    // address of recvmmsg's own timeout, 0 none
  RestOfCall<kContinueVectors> rest;
};
static_assert(offsetof(ContinueFrame, flags) == 48 && offsetof(ContinueFrame, rip) == 56 &&
              offsetof(ContinueFrame, rsp) == 64);

}  // namespace om

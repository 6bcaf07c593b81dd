// SPDX-License-Identifier: Apache-2.0
//
// The seccomp filter of a body: interception and sandbox in one. All calls from outside [gate_lo, gate_hi) raise
// SIGSYS. That is interception only (a hostile guest can jump into the gate): the security lies in the list of
// calls that are allowed from there and the checks of their arguments. Any other call kills the body.
//
// Arguments are checked against libom/abi/sandbox.h.
//
// The list gives a guest its own memory, its own threads, its clock, and byte streams on descriptors that it already
// has. Descriptors come in only by recvmsg on descriptor 3, from the keeper.
#pragma once

#include <stdint.h>

namespace om::restore {

struct BpfInstruction {  // struct sock_filter
  uint16_t code;
  uint8_t jt, jf;
  uint32_t k;
};
constexpr uint32_t kMaxFilter = 160;

// Builds the filter for a gate at [gate_lo, gate_hi), which must not cross a 4 GiB boundary. Returns the
// number of instructions, 0 if it cannot.
// Context: restore
uint32_t build_filter(uint64_t gate_lo, uint64_t gate_hi, BpfInstruction out[kMaxFilter]);

}  // namespace om::restore

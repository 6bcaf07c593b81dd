// SPDX-License-Identifier: Apache-2.0
//
// A made-up stopped process: a mapping of eight pages, a stack, one thread. For tests that change one thing.
#pragma once

#include <sys/mman.h>

#include "common/image/description.h"
#include "libom/abi/layout.h"

namespace om {

constexpr uint64_t kProgram = 0x100000000, kProgramEnd = kProgram + 8 * kPageSize;
constexpr uint64_t kStackLo = 0x7c0000000000, kStackHi = kStackLo + 16 * kPageSize;

inline Description made_up_description() {
  using Kind = Description::MappingKind;
  Description d;
  d.epoch = 3;
  d.mappings.push_back({kProgram, kProgramEnd, PROT_READ | PROT_WRITE, Kind::MEMORY});
  d.mappings.push_back({kStackLo, kStackHi, PROT_READ | PROT_WRITE, Kind::STACK});
  d.threads.resize(1);
  d.threads[0].state.kind = kThreadUser;
  d.threads[0].xsave.resize(kXsaveMinBytes);
  d.xstate.size = kXsaveMinBytes;
  d.xstate.xcr0 = 3;
  d.xstate.mxcsr_mask = 0xffff;
  d.clocks = {1, 2, 3};
  d.process.pid = 77;
  return d;
}

}  // namespace om

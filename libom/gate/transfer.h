// SPDX-License-Identifier: Apache-2.0
//
// What forward.cc (one Call), gather.cc (the memory it reads and writes) and transfer.cc (more than one Call has
// room for) share.
#pragma once

#include <stdint.h>

#include "libom/abi/syscall_desc.h"
#include "libom/gate/channel.h"
#include "libom/gate/gate.h"

namespace om::gate {

constexpr uint64_t kMaxTransfer = 16u << 20;  // bytes of one argument in one Call

// Answers that are neither a result nor kPark: nothing was sent, no sequence number is used.
constexpr long kTooLong = -5010;  // more bytes than a Call may have
constexpr long kOnlyHome =
    -5011;  // memory that only the kernel at home can judge, next to the program

// gather.cc -------------------------------------------------------------------------------------------

// Room for the u64 byte counts that precede some payloads.
struct Scratch {
  uint64_t totals[6];
};
// What the call reads. A pointer that cannot be read at its first byte is noted in `bad` (bit i: argument i): home
// hands the kernel one that is as bad, so that the order of its checks is the kernel's own. `cut`: of a vector
// that is too long the first kMaxTransfer bytes go along. 0, kTooLong or kOnlyHome.
// Context: gate
long build_ins(const SyscallDesc& desc, const uint64_t args[6], Ins& ins, Scratch& scratch,
               bool cut, uint32_t& bad);
// The first byte of every output must be writable, or home would execute a call whose result is lost; of
// transfers, which may be done in part, the last one as well. 0, kTooLong or kOnlyHome; `bad` as build_ins.
// Context: gate
long probe_outs(const SyscallDesc& desc, const uint64_t args[6], uint32_t& bad);

// forward.cc ------------------------------------------------------------------------------------------

// One Call by its row. Result, kPark, kTooLong or kOnlyHome. Its frame is large.
// Context: gate
[[gnu::noinline]] long attempt(GateCall& c, uint32_t nr, const SyscallDesc& desc, bool cut);
// Home may not have executed the call, because only the program itself can: then it comes home. Signals that
// came with that answer are delivered first, and the program makes the call again.
// Context: gate
long after_answer(GateCall& c, long result);

// transfer.cc -----------------------------------------------------------------------------------------

// A transfer of more bytes than a Call may have. What the descriptor is decides (kNrTransfer).
// Context: gate
long long_transfer(GateCall& c);

}  // namespace om::gate

// SPDX-License-Identifier: Apache-2.0
//
// The memory that a call reads and writes, by its row.
#pragma once

#include <stdint.h>

#include "libom/abi/syscall_desc.h"
#include "libom/gate/channel.h"
#include "libom/gate/gate.h"

namespace om::gate {

constexpr uint64_t kMaxTransfer = 16u << 20;  // bytes of one argument in one Call

// Answers that are neither a result nor kPark: nothing was sent, no sequence number is used.
constexpr long kTooLong = -5010;   // more bytes than a Call may have
constexpr long kOnlyHome = -5011;  // home's kernel must judge the memory, with the program there

// Room for the u64 byte counts that precede some payloads.
struct Scratch {
  uint64_t totals[6];
};
// Collects what the call reads. Sets bit i of `bad` if the first byte of argument i is unreadable: home passes the
// kernel an equally bad pointer, so that the kernel's own order of checks applies. `cut`: of a vector that is too long
// the first kMaxTransfer bytes are sent. 0, kTooLong or kOnlyHome.
// Context: gate
long build_ins(const SyscallDesc& desc, const uint64_t args[6], Ins& ins, Scratch& scratch,
               bool cut, uint32_t& bad);
// Checks that the first byte of every output is writable, or home would execute a call whose result is lost; for
// transfers, which may be done in part, the last byte as well. 0, kTooLong or kOnlyHome; `bad` as in build_ins.
// Context: gate
long probe_outs(const SyscallDesc& desc, const uint64_t args[6], uint32_t& bad);

}  // namespace om::gate

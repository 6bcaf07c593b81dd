// SPDX-License-Identifier: Apache-2.0
//
// Calls of the program, and libom's own, to the executor at home.
#pragma once

#include "libom/gate/gate.h"

namespace om::gate {

// Sends the call home by its row and waits. Result, or kPark; c.restart and c.signal* may be set.
// Context: gate
long forward(GateCall& c);
// The same with another row (a sub-table's) and explicit call number.
// Context: gate
long forward_as(GateCall& c, uint32_t nr, const SyscallDesc& desc);
// A Call of plain numbers; waited for. flags: kCall...; not interruptible by a stop when `hold` is set.
// Context: gate
long call_home(GateCall& c, uint32_t nr, const uint64_t args[6], bool hold = false);
struct Ins;
// A Call with hand-made input memory; outputs by `desc` or by c.raw_out / c.apply.
// Context: gate
long call_home_with(GateCall& c, uint32_t nr, const uint64_t args[6], const Ins& ins,
                    const SyscallDesc* desc, bool hold = false);
// What a transfer of more bytes than a Call may have is to do (kTransferHome, ...); message flags of the call.
// Context: gate
long transfer_kind(GateCall& c, uint64_t message_flags);
// A plain Call that nobody waits for; takes a ticket. The caller holds mm_lock when order matters.
// Context: gate
void post_home(BodyThread* t, uint32_t nr, const uint64_t args[6]);
// Waits until every posted Call has been answered. 0 or kAborted (kick).
// Context: gate
long drain(BodyThread* t);
// Goes on waiting for the Return of t->call_*, and applies it to the program's memory (thread start).
// Context: gate
long resume_waiting(GateCall& c);
// By the call's sub-table if it has one.
// Context: gate
long forward_row(GateCall& c);
// The process comes home; there the call runs natively. Does not return unless the move failed.
// Context: gate
long come_home(GateCall& c);
// The process comes home and goes on at regs. nr is for the record of reasons only.
// Context: gate
void want_home(BodyThread* t, uint32_t nr);

// One Call by its row. Result, kPark, kTooLong or kOnlyHome. Its frame is large.
// Context: gate
[[gnu::noinline]] long attempt(GateCall& c, uint32_t nr, const SyscallDesc& desc, bool cut);
// Home may not have executed the call, because only the program itself can: then it comes home. Signals that
// came with that answer are delivered first, and the program makes the call again.
// Context: gate
long after_answer(GateCall& c, long result);

}  // namespace om::gate

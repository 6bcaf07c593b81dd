// SPDX-License-Identifier: Apache-2.0
//
// Sends calls of the program, and libom's own, to the executor at home.
#pragma once

#include "libom/gate/gate.h"

namespace om::gate {

// Sends the call home by its row and waits. Result, or kPark; c.restart and c.signal* may be set.
// Context: gate
long forward(GateCall& c);
// The same with another row (a sub-table's) and an explicit call number.
// Context: gate
long forward_as(GateCall& c, uint32_t nr, const SyscallDesc& desc);
// Sends a Call of plain numbers and waits; with `hold`, a stop does not interrupt it.
// Context: gate
long call_home(GateCall& c, uint32_t nr, const uint64_t args[6], bool hold = false);
struct Ins;
// The same with hand-made input memory; outputs by `desc` or by c.raw_out / c.apply.
// Context: gate
long call_home_with(GateCall& c, uint32_t nr, const uint64_t args[6], const Ins& ins,
                    const SyscallDesc* desc, bool hold = false);
// Asks home how to do a transfer that is too long for one Call (kTransferHome, ...). `message_flags`: the call's.
// Context: gate
long transfer_kind(GateCall& c, uint64_t message_flags);
// Posts a plain Call, which takes a ticket. The caller holds mm_lock if order matters.
// Context: gate
void post_home(BodyThread* t, uint32_t nr, const uint64_t args[6]);
// Waits until every posted Call has been answered. 0 or kAborted (kick).
// Context: gate
long drain(BodyThread* t);
// Resumes waiting for the Return of t->call_*, and applies it to the program's memory (thread start).
// Context: gate
long resume_waiting(GateCall& c);
// Serves the call by its sub-table if it has one.
// Context: gate
long forward_row(GateCall& c);
// Brings the process home, where the call runs natively. Does not return unless the move failed.
// Context: gate
long come_home(GateCall& c);
// Brings the process home, where it continues at regs. `nr` is for the record of reasons only.
// Context: gate
void want_home(BodyThread* t, uint32_t nr);

// Makes one Call by its row. Result, kPark, kTooLong or kOnlyHome. Its stack frame is large.
// Context: gate
[[gnu::noinline]] long attempt(GateCall& c, uint32_t nr, const SyscallDesc& desc, bool cut);
// Brings the process home if home has not executed the call because only the program itself can. Signals that came
// with that answer are delivered first; then the program makes the call again.
// Context: gate
long after_answer(GateCall& c, long result);

}  // namespace om::gate

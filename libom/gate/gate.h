// SPDX-License-Identifier: Apache-2.0
//
// The gate: everything that a body does besides running the program. A thread enters it by SIGSYS (a system
// call), by a kick of the keeper, or by a fault; the program's registers are then in BodyThread::regs, its
// vector registers stay live in the CPU (this code is built with -mgeneral-regs-only), and the code runs on
// the slot's own stack. It leaves through om_gate_exit (entry.S), which loads regs and jumps.
//
// The gate keeps nothing of a call that has been answered: signal handlers, longjmp and swapcontext are the
// program's own business.
//
// Context tags: `gate` = as described; `kick` = inside a signal handler of ours, on the landing stack.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/session.h"
#include "libom/abi/syscall_desc.h"

namespace om::gate {

extern BodyState g_body;  // written by the keeper before the body starts

constexpr uint32_t kMaxSignals = kMaxNoted;

// One trapped system call.
struct GateCall {
  BodyThread* thread;
  const SyscallDesc* desc;
  uint32_t nr;
  uint32_t restart;       // the program's syscall instruction is to run again
  uint32_t signal_count;  // delivered after the result is in place
  SignalRecord* signals;  // room for kMaxSignals
  uint64_t args[6];
  uint32_t no_result;  // not a call of the program: registers stay as they are
  uint32_t hold;       // the call waits without standing still for a stop
  uint32_t bad;        // bit i: argument i points to memory that cannot be touched (kCallBad)
  uint32_t go_home;    // of the last Return: not executed, the process is to come home first
  uint64_t aux;        // of the last Return
  // Who takes the outputs of the Return: the row (apply_outs) unless one of these is set.
  void* raw_out;  // gate memory
  uint64_t raw_bytes;
  long (*apply)(GateCall& c, long result, uint64_t outs_bytes);
  void* apply_context;
};

// Answers that are not results.
constexpr long kPark = -5001;  // nothing was sent: rewind to the syscall instruction and park

// forward.cc ------------------------------------------------------------------------------------------

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
// Message calls (net.cc) have outputs that no row describes.
bool takes_messages(uint32_t nr);
long resume_messages(GateCall& c);
// The process comes home; there the call runs natively. Does not return unless the move failed.
// Context: gate
long come_home(GateCall& c);
// The process comes home and goes on at regs. nr is for the record of reasons only.
// Context: gate
void want_home(BodyThread* t, uint32_t nr);

// channel.cc ------------------------------------------------------------------------------------------

constexpr int kKeeperFd = 3;

// time.cc ---------------------------------------------------------------------------------------------

// CPU time (ns) of the calling thread, or of all threads, in this body.
// Context: gate
int64_t body_cpu_ns(bool thread);

// vm.cc -----------------------------------------------------------------------------------------------

// The soft limit of the stack has become this: as far as there is room, the body's stack may have that size.
// Context: gate
void grow_stack_room(BodyThread* t, uint64_t limit);

// park.cc ---------------------------------------------------------------------------------------------

// Stands still until the keeper lets go. regs, kind and call_* describe the thread.
// Context: gate
void park(BodyThread* t, ThreadKind kind);
// Kicked: parks or collects signals.
// Context: gate
void handle_kick(BodyThread* t);

// signal.cc -------------------------------------------------------------------------------------------

// A thread starves if more than a third of its calls and returns from handlers find that the next signal has come
// before them, for some hundred of them in a row: signals come faster than a round trip takes. Its next return from a
// handler has the process come home.
constexpr uint32_t kStarved = 400;
// Context: gate
void note_starving(BodyThread* t, bool called_off);
// Builds one frame per record on the program's stack and points regs at the handler. 0, or -EFAULT when the
// stack is not writable (the records from `index` on are not delivered).
// Context: gate
long deliver(BodyThread* t, const SignalRecord* records, uint32_t count, uint32_t* index);
// The program's stack cannot hold a signal frame: the signals go back home, where the kernel decides.
// Context: gate
void bad_stack(BodyThread* t);
// A synchronous fault of the program: fault_* and regs are filled in.
// Context: gate
void serve_fault(BodyThread* t);
// Resets the vector state to its initial values.
// Context: gate
void init_vector_state(BodyThread* t);

// thread.cc -------------------------------------------------------------------------------------------

// Goes on with the call that a restored thread was in: generic, or by hand for split rows.
// Context: gate
long resume_call(GateCall& c);

inline BodyThread* thread_at(uint32_t slot) {
  return reinterpret_cast<BodyThread*>(slot_address(g_body.arena, slot) + kSlotBlock);
}
inline char* slot_base(const BodyThread* t) {
  return reinterpret_cast<char*>(reinterpret_cast<uintptr_t>(t) - kSlotBlock);
}
// [addr, addr+len) touches libom or another range that the program must not map, at home either.
// Context: gate
bool is_reserved(uint64_t addr, uint64_t len);
// [addr, addr+len) touches what is libom's only while the process is away: the arena, or what executors map at home.
// Context: gate
bool is_lent(uint64_t addr, uint64_t len);

// Fatal inconsistency inside libom: writes a line to the keeper's log and ends the body.
// Context: any
[[noreturn]] void panic(const char* what, uint64_t value);

inline void clear_signals(GateCall& c) {
  c.signal_count = 0;
  c.restart = 0;
}

}  // namespace om::gate

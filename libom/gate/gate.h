// SPDX-License-Identifier: Apache-2.0
//
// The gate: everything that a body does besides running the program. A thread enters it by SIGSYS (a system
// call), by a kick of the keeper, or by a fault; the program's registers are then in BodyThread::regs, its
// vector registers stay live in the CPU (this code is built with -mgeneral-regs-only), and the code runs on
// the slot's own stack. It leaves through om_gate_exit (entry.S), which loads regs and jumps.
//
// The gate keeps no state of an answered call, so signal handlers, longjmp and swapcontext are the program's own
// business.
//
// Context tags: `gate` = as described; `kick` = inside a signal handler of ours, on the landing stack.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/body.h"
#include "libom/abi/home.h"
#include "libom/abi/sockets.h"
#include "libom/abi/syscall_desc.h"

namespace om::gate {

extern BodyState g_body;  // written by the keeper before the body starts

constexpr uint32_t kMaxSignals = kMaxNoted;

// One trapped system call.
struct GateCall {
  BodyThread* thread;
  const SyscallDesc* desc;
  uint32_t nr;
  uint32_t restart;       // the program's syscall instruction must run again
  uint32_t signal_count;  // delivered after the result is in place
  SignalRecord* signals;  // room for kMaxSignals
  uint64_t args[6];
  uint32_t no_result;  // not a call of the program: registers stay unchanged
  uint32_t hold;       // a stop does not park the thread while the call waits
  uint32_t bad;        // bit i: argument i points to inaccessible memory (kCallBad)
  uint32_t go_home;    // of the last Return: not executed, the process must return home first
  uint64_t aux;        // of the last Return
  // Where the outputs of the Return go: by the row (apply_outs) unless one of these is set.
  void* raw_out;  // gate memory
  uint64_t raw_bytes;
  long (*apply)(GateCall& c, long result, uint64_t outs_bytes);
  void* apply_context;
};

// Answers that are not results.
constexpr long kPark = -5001;  // nothing was sent: rewind to the syscall instruction and park

inline BodyThread* thread_at(uint32_t slot) {
  return reinterpret_cast<BodyThread*>(slot_address(g_body.arena, slot) + kSlotBlock);
}
inline char* slot_base(const BodyThread* t) {
  return reinterpret_cast<char*>(reinterpret_cast<uintptr_t>(t) - kSlotBlock);
}

// Fatal inconsistency inside libom: writes a line to the keeper's log and ends the body.
// Context: any
[[noreturn]] void panic(const char* what, uint64_t value);

inline void clear_signals(GateCall& c) {
  c.signal_count = 0;
  c.restart = 0;
}

}  // namespace om::gate

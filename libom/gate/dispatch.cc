// SPDX-License-Identifier: Apache-2.0
//
// From a trap to an answer: finds the call's row, serves the call, puts the result into the program's
// registers and delivers the signals that came with it. Entered from entry.S on the gate stack.
#include "libom/abi/kernel.h"
#include "libom/abi/waiting.h"
#include "libom/gate/cpus.h"
#include "libom/gate/descriptors.h"
#include "libom/gate/forward.h"
#include "libom/gate/functions.h"
#include "libom/gate/gate.h"
#include "libom/gate/messages.h"
#include "libom/gate/park.h"
#include "libom/gate/signal.h"
#include "libom/gate/thread.h"
#include "libom/safe/atomic.h"
#include "libom/safe/call_layout.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/row.h"
#include "libom/safe/syscall.h"

extern "C" {
void om_gate_syscall(om::BodyThread* t, uint32_t nr, uint32_t arch);
void om_gate_kicked(om::BodyThread* t);
void om_gate_first(om::BodyThread* t);
}

namespace om::gate {

constinit BodyState g_body{};

namespace {

constexpr uint64_t kTrapFlag = 0x100;

void init_call(GateCall& c, BodyThread* t, uint32_t nr, SignalRecord* signals) {
  safe::set_bytes(&c, 0, sizeof c);
  c.thread = t;
  c.nr = nr;
  c.signals = signals;
}

void load_args(GateCall& c) {
  const uint64_t* r = c.thread->regs;
  c.args[0] = r[kRdi];
  c.args[1] = r[kRsi];
  c.args[2] = r[kRdx];
  c.args[3] = r[kR10];
  c.args[4] = r[kR8];
  c.args[5] = r[kR9];
}

void rewind(BodyThread* t, uint32_t nr) {
  t->regs[kRip] -= 2;
  t->regs[kRax] = nr;
  t->full_exit = 1;
}

long serve_by_row(GateCall& c) {
  const SyscallDesc& desc = *c.desc;
  switch (desc.route) {
    case Route::kLocal:
    case Route::kVirt:
    case Route::kSplit:
      if (desc.gate_fn != 0) return dispatch_gate(desc.gate_fn, c);
      return forward_row(c);
    case Route::kFwd:
      return forward(c);
    case Route::kHome:
      return come_home(c);
    case Route::kDeny:
      return -static_cast<long>(desc.deny_errno);
    case Route::kUnknown:
      break;
  }
  safe::fetch_add(&g_body.unknown_calls, 1);
  return -k::kENOSYS;
}

long serve(GateCall& c) {
  c.desc = &syscall_desc(c.nr);
  safe::normalize_args(*c.desc, c.args);
  switch (place_of_call(*c.desc, c.args)) {
    case Place::kHome:
      break;
  }
  return serve_by_row(c);
}

// Passes result and signals of an answered call to the program.
void finish(GateCall& c, long result) {
  BodyThread* t = c.thread;
  if (c.no_result == 0) {
    if (c.restart) {
      rewind(t, c.nr);
    } else {
      t->regs[kRax] = static_cast<uint64_t>(result);
    }
  }
  uint32_t index = 0;
  if (c.signal_count > 0) {
    t->full_exit = 1;
    if (deliver(t, c.signals, c.signal_count, &index) != 0) bad_stack(t);
  }
  if (t->regs[kFlags] & kTrapFlag) t->full_exit = 1;
  t->phase = kBodyUser;
}

}  // namespace

// Context: gate
long resume_call(GateCall& c) {
  if (c.nr >= kNrResume) {
    // One of the gate's own Calls: its answer has no effect except the signals that it brings.
    c.no_result = 1;
    c.desc = nullptr;
    return resume_waiting(c);
  }
  if (is_message_call(c.nr)) return resume_messages(c);
  SyscallDesc storage;
  c.desc = safe::resolve_row(*c.desc, c.args, storage).desc;
  return resume_waiting(c);
}

// Context: gate
void handle_kick(BodyThread* t) {
  t->kick = 0;
  t->full_exit = 1;
  if (safe::load_acquire(&g_body.stop) != 0) {
    park(t, kThreadUser);
    t->kick = 1;  // a kick for a signal may have come meanwhile
    return;
  }
  SignalRecord signals[kMaxSignals];
  GateCall c;
  init_call(c, t, kNrSignalPoll, signals);
  c.no_result = 1;
  const uint64_t args[6] = {};
  if (call_home(c, kNrSignalPoll, args) == kPark) {
    t->kick = 1;  // kicked again before anything was sent: the exit path returns here
    return;
  }
  finish(c, 0);
}

}  // namespace om::gate

using namespace om;
using namespace om::gate;

// Context: gate
void om_gate_syscall(BodyThread* t, uint32_t nr, uint32_t arch) {
  t->phase = kBodyGate;
  t->full_exit = 0;
  safe::fetch_add(&g_body.traps, 1);
  SignalRecord signals[kMaxSignals];
  GateCall c;
  init_call(c, t, nr, signals);
  load_args(c);
  // A 32-bit call (int 0x80) uses another table: only home can run it.
  const long result = arch == k::kAuditArchX86_64 ? serve(c) : come_home(c);
  if (result == kPark) {
    rewind(t, nr);
    handle_kick(t);
    return;
  }
  finish(c, result);
}

// A kick in program code or on the way out; regs is the program's state.
// Context: gate
void om_gate_kicked(BodyThread* t) {
  t->phase = kBodyGate;
  abort_sequence(t);
  handle_kick(t);
  t->phase = kBodyUser;
}

// First code of a restored thread.
// Context: gate
void om_gate_first(BodyThread* t) {
  t->phase = kBodyGate;
  t->full_exit = 1;
  if (t->kind != kThreadWaiting) {
    t->phase = kBodyUser;
    return;
  }
  SignalRecord signals[kMaxSignals];
  GateCall c;
  init_call(c, t, t->call_nr, signals);
  for (int i = 0; i < 6; i++) c.args[i] = t->call_args[i];
  c.desc = &syscall_desc(c.nr);
  finish(c, resume_call(c));
}

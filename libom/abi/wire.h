// SPDX-License-Identifier: Apache-2.0
//
// Constants and PODs that travel inside the Executor interface (common/schema/executor.capnp): what both the
// gate in the body and the executor at home must agree on, beyond the system call table.
#pragma once

#include <stdint.h>

namespace om {

constexpr uint64_t kExecutorInterface = 0xb1f6c0de00000001ull;
constexpr uint16_t kMethodForward = 0;

// Call.flags
constexpr uint32_t kCallWaited = 1u << 0;
constexpr uint32_t kCallTicketed = 1u << 1;
// The Return may carry signals, or say RESTART because of one.
constexpr uint32_t kCallSignals = 1u << 2;
// << i: argument i points to inaccessible memory; nothing of it travels, and the kernel at home gets an address that is
// equally bad.
constexpr uint32_t kCallBad = 1u << 8;

// The member of the session that the thread belongs to (preamble.h): bits 16-31.
constexpr uint32_t call_member(uint32_t member) { return member << 16; }
constexpr uint32_t member_of_call(uint32_t flags) { return flags >> 16; }

// Return.flags
constexpr uint32_t kRetRestart = 1u << 0;
constexpr uint32_t kRetEintr = 1u << 1;
constexpr uint32_t kRetRevoked = 1u << 2;
constexpr uint32_t kRetHome = 1u << 3;  // with RESTART: not executed, the process has to go home
constexpr uint32_t kRetMore = 1u << 4;

// Call numbers that are not system calls.
// a0 = last Return seen, a1 = last sequence sent; result = last executed.
constexpr uint32_t kNrResume = 0x10000;
constexpr uint32_t kNrSignalPoll = 0x10001;  // collect pending signals (after a kick)
constexpr uint32_t kNrWantHome = 0x10002;    // a0 = system call number that cannot be served away
constexpr uint32_t kNrReadHome = 0x10003;    // a0 = address, a1 = bytes: of a fresh file mapping
// a0 = signal, ins = siginfo: result 1: `signals` has the program's handler for it, 0: it has none.
constexpr uint32_t kNrFault = 0x10004;
// a0 = signal mask from now on; a1 = 1: signals keep the thread from making progress, it has to return home.
constexpr uint32_t kNrSetMask = 0x10005;
constexpr uint32_t kNrCloneTwin = 0x10006;  // a0 = slot: home makes the twin; result its tid
constexpr uint32_t kNrExitTwin = 0x10007;   // a0 = status: answered, then the twin exits
// a0 = descriptor, a1 = system call number, a2 = message flags: how to do a transfer that is too long for one Call;
// result kTransfer...
constexpr uint32_t kNrTransfer = 0x10008;
constexpr long kTransferHome = 0;    // in one call, at home
constexpr long kTransferOne = 1;     // never more than a Call has room for: one piece is enough
constexpr long kTransferPieces = 2;  // piece by piece while each is done in full

// Sizes. A thread may have kWindowCalls unanswered Calls, kWindowBytes in total.
constexpr uint32_t kWindowCalls = 64;
constexpr uint32_t kWindowBytes = 1u << 20;
constexpr uint32_t kPieceBytes = 1u << 20;     // one transfer of a byte buffer
constexpr uint32_t kMaxCallBytes = 34u << 20;  // neither side accepts a larger message

// One caught signal on its way to the body. Written by the catcher at home, delivered by the gate, which
// builds the program's signal frame from it. 240 bytes.
struct SignalRecord {
  uint32_t number;  // 1..64
  uint32_t pad;
  uint64_t handler;  // the program's handler at the time of delivery
  uint64_t flags;    // its SA_ flags
  uint64_t restorer;
  uint64_t frame_mask;    // uc_sigmask of the frame: restored by sigreturn
  uint64_t handler_mask;  // the mask while the handler runs
  uint8_t info[128];      // siginfo_t as the kernel gave it
  uint64_t reserved[8];
};
static_assert(sizeof(SignalRecord) == 240, "SignalRecord is wire format");

}  // namespace om

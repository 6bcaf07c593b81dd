// SPDX-License-Identifier: Apache-2.0
//
// The anchor: a table of addresses inside libom.so that the daemons use, found through an ELF note.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/version.h"

namespace om {

constexpr uint64_t kAnchorMagic = 0x31584f534d4f7055ull;  // "UpOMSOX1"
constexpr uint32_t kAnchorAbi = 9;                        // layout of the structs in libom/abi

// Found through the ELF note "openMosix" of the mapped libom.so; link-time constant, relocated by ld.so.
struct Anchor {
  uint64_t magic;
  uint32_t abi;
  uint32_t keeper_gate_abi;
  uint64_t image_lo, image_hi;  // the mapped image, page aligned
  uint64_t gate_lo, gate_hi;    // the only code whose system calls the body's filter allows
  uint64_t inject;              // a bare syscall instruction for the deputy's injected calls
  uint64_t transplant;          // syscall instruction that takes over a blocked call
  uint64_t transplant_end;      // the address after it
  uint64_t window_lo,
      window_end;              // cancellable system call: first instruction, address after syscall
  uint64_t executor_entry;     // rsp = slot stack top: serve Calls
  uint64_t orphan_entry;       // rsp = slot stack top: deputy is gone, resume from the slot's frame
  uint64_t remote_entry;       // rsp = slot stack top, rdi = function number, rsi = argument
  uint64_t catcher;            // signal handler installed at home while away
  uint64_t restorer;           // its sa_restorer
  uint64_t body_entry;         // rdi = slot address: restorer of the body
  uint64_t home_state;         // HomeState
  uint64_t body_state;         // BodyState
  uint64_t vdso_functions[8];  // replacements, by VdsoFunction
  uint64_t away_cpu;           // AwayCpu (abi/away_cpu.h)
  uint64_t exports_lo,
      exports_hi;          // libom code that counts as the program's: stopped and moved like it
  uint64_t first_inject;   // a bare syscall instruction for threads that have no slot yet
  uint64_t first_aid;      // FirstAid
  uint64_t continue_call;  // rsp = ContinueFrame (abi/continue.h)
  uint64_t clock_return,
      clock_return_end;  // where a thread that the deputy leads out of the vDSO waits
};
static_assert(sizeof(Anchor) == 16 + 8 * 33);

enum VdsoFunction : uint32_t {
  kVdsoClockGettime,
  kVdsoGettimeofday,
  kVdsoTime,
  kVdsoGetcpu,
  kVdsoClockGetres,
  kVdsoGetrandom,
  kVdsoOther,
  kVdsoCount
};

}  // namespace om

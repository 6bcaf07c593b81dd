// SPDX-License-Identifier: Apache-2.0
//
// The memory that the keeper shares with libom in the body.
// Each field names its writer: D = om-deputy (ptrace, process_vm_writev, all threads stopped), K = om-guest (keeper),
// H = libom at home, B = libom in the body. The daemons check every value before they use it: the process may have
// scribbled over it.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/layout.h"
#include "libom/abi/memory.h"
#include "libom/abi/thread.h"
#include "libom/abi/wire.h"

namespace om {

enum BodyPhase : uint32_t {
  kBodyUser = 0,     // program code runs
  kBodyGate = 1,     // gate code runs
  kBodyWaiting = 2,  // waits for a Return
  kBodyParked = 3,   // stopped for the keeper
  kBodyGone = 4,
};

// An unanswered posted Call, kept for a reconnect. 128 bytes.
struct PendingCall {
  uint64_t seq;
  uint64_t ticket;
  uint32_t nr;
  uint32_t pad;
  uint64_t args[6];
  uint64_t reserved[6];
};

struct BodyThread {
  uint64_t self;             // K/B: %gs:0
  uint64_t gate_sp;          // K/B: %gs:8, top of the gate stack
  uint64_t regs[kGprCount];  // B: the program's registers while the gate runs (offset 16)
  uint32_t kick;             // B (kick handler): check stop and home's signals; offset 160
  uint32_t phase;            // B: BodyPhase
  uint32_t slot;             // K/B
  int32_t home_tid;          // K/B
  int32_t body_tid;          // B
  uint32_t kind;             // K at start, B at park: ThreadKind
  uint32_t busy;             // B: 1 from clone until the very last instruction of the exit
  uint32_t full_exit;        // B: leave with IRETQ, all registers
  uint32_t asked_channel;    // B: the keeper owes this slot a channel
  uint32_t park_seen;        // B: generation of the stop it is parked for
  uint64_t seq;              // B: last sequence sent (or, for a transplanted call, assumed)
  uint64_t returned;         // B: last Return processed
  uint64_t call_args[6];     // B: of the call being waited for, as the program passed them
  uint32_t call_nr;          // B
  uint32_t call_sent;        // B: the Call has (at least partly) been sent
  uint64_t call_seq;         // B
  KernelThread kernel;  // B: sigmask caches the mask at home; the alternate stack is the program's
  uint32_t fault_signal;  // B: synchronous fault being delivered
  uint32_t capability;    // B: of the channel's bootstrap
  uint64_t fault_error, fault_trap, fault_cr2;
  uint8_t fault_info[128];
  StreamState channel;            // B
  uint64_t finish_lo, finish_hi;  // B: sequences whose Finish goes out with the next Call, 0 none
  uint32_t pending_head, pending_tail;  // B: ring of PendingCall, [tail, head)
  uint32_t connected;                   // B: handshake sent on `channel`
  uint32_t have_capability;             // B: the bootstrap has been answered
  uint32_t sent_here;    // B: the waited Call has been sent on the current connection
  uint32_t need_resume;  // B: nothing may be sent before home has answered the Resume
  uint64_t xsave_bytes;  // B: valid bytes of the slot's xsave area while parked
  uint64_t cpu_ns;       // B: CPU time of this body's thread when it parked
  uint32_t want_home;    // B: 1 while the thread asks to go home
  uint32_t stepping;     // B: being single-stepped out of the clock functions
  uint32_t starved;      // B: grows while signals leave the program no time for a call
  uint32_t pad;
  uint64_t reserved[7];
  PendingCall pending[kWindowCalls];
};
// libom/gate/entry.S uses these offsets.
static_assert(offsetof(BodyThread, self) == 0);
static_assert(offsetof(BodyThread, gate_sp) == 8);
static_assert(offsetof(BodyThread, regs) == 16);
static_assert(offsetof(BodyThread, kick) == 160);
static_assert(offsetof(BodyThread, full_exit) == 188);
static_assert(kSlotBlock + sizeof(BodyThread) <= kSlotSeal);

struct XstateTable {
  uint32_t size;   // of the whole area
  uint32_t count;  // components described
  uint64_t xcr0;
  struct {
    uint32_t offset, size;
  } component[20];  // index = component number; 0 and 1 are the legacy area
};

// Offsets from the body's clocks to home's. A copy is valid if `sequence` is even and unchanged.
struct ClockPage {
  uint32_t sequence;  // K: odd while writing
  uint32_t pad;
  int64_t mono_offset_ns;  // K: add to the local monotonic clock at `base_ns`
  int64_t real_offset_ns;  // K
  int64_t base_ns;         // K: local CLOCK_MONOTONIC
  int64_t slew_ppb;        // K: change of both offsets per second of local time, until limit_ns
  int64_t limit_ns;        // K: local CLOCK_MONOTONIC, slewing ends here
  // B: lower bounds of the offsets, from the time that home sends with the answer to a call that has waited (the
  // keeper writes them only at the start).
  int64_t mono_floor_ns;
  int64_t real_floor_ns;
};

constexpr uint32_t kMaxTouched = 512;
constexpr uint32_t kMaxFileRanges = 2048;

struct BodyState {
  uint32_t stop;                     // K: generation to park for, 0 = run
  uint32_t epoch;                    // K
  uint32_t committed;                // B: 0 until COMMIT; futex
  uint32_t nslots;                   // K
  uint64_t arena;                    // K
  uint32_t nthreads;                 // K: threads at start
  int32_t body_pid;                  // B
  int32_t home_pid, home_ppid_hint;  // K
  uint32_t ids[8];                   // K: uid euid suid fsuid gid egid sgid fsgid of the process
  uint64_t brk_start, brk_now;       // K at start, B
  uint64_t brk_limit;                // K: bytes, from RLIMIT_DATA
  uint64_t denies_exec;              // K: 1: home decides what becomes executable (PR_SET_MDWE)
  uint64_t caught;                   // K at start, B: signals for which the program has a handler
  uint64_t tickets;                  // B: last ticket taken
  uint32_t mm_lock, clone_lock, keeper_lock;  // B
  uint32_t slots_ready;                       // K at start, B: slots [0, slots_ready) have memory
  ClockPage clock;                            // K
  XstateTable home_xstate;                    // K
  XstateTable local_xstate;                   // K
  uint64_t local_vdso[8];  // K: addresses of the local vDSO's functions after the move, 0 none
  uint64_t local_vdso_lo, local_vdso_hi;
  uint64_t home_vdso_lo, home_vdso_hi;
  uint64_t stack_low, stack_high;  // K at start, B: the [stack] mapping as pre-grown in the body
  uint64_t touched_count;  // B: file mappings from home that became writable; > kMaxTouched = all
  Range touched[kMaxTouched];
  // K at start, B: memory that is file-backed at home, shared or locked; > kMaxFileRanges = assume all
  uint64_t file_range_count;
  Range file_ranges[kMaxFileRanges];
  uint64_t calls, traps, unknown_calls;  // B
  uint32_t fd_size;      // K at start, B: size of the program's own descriptor table (FDSize)
  uint32_t membarriers;  // B: expedited commands that home has granted
  char uts[6][65];       // K: uname fields of home
  uint8_t pad2[2];
  uint64_t stack_prot;    // K
  uint64_t writes_files;  // K: 1: the program can write to a file through a shared mapping
  uint64_t object_count;  // K
  MemoryObject objects[kMaxMemoryObjects];  // K: without dev and inode
  uint32_t pins;  // K: 1: threads have the CPU affinity of home, `cpu_changes` follows home's
  uint32_t cpu_changes;  // K: the HomeState.cpu_changes that the body's threads reflect
  uint32_t member;       // K: of the session
  uint32_t cpu_limit;    // K: 0: all CPUs have numbers that exist at home; else how many home has (cpus.h)
  uint64_t reserved[6];
};

}  // namespace om

// SPDX-License-Identifier: Apache-2.0
//
// The memory that the deputy shares with libom at home.
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

// Kernel's rt_sigaction layout.
struct KernelSigaction {
  uint64_t handler;
  uint64_t flags;
  uint64_t restorer;
  uint64_t mask;
};

enum HomePhase : uint32_t {
  kHomeNative = 0,     // nothing of ours is active
  kHomeCaptured = 1,   // D: stopped, prepared, not committed
  kHomeAway = 2,       // D: committed
  kHomeReturning = 3,  // D: memory is home; slots hold what threads leave with (kSlotReturn)
};

// An address-space call of the body that home could not repeat yet.
struct MirrorCall {
  uint32_t nr, pad;
  uint64_t args[6];
};
constexpr uint32_t kMaxMirrorCalls = 64;

struct HomeState {
  uint32_t phase;        // D
  uint32_t epoch;        // D: raised by each departure
  uint32_t hold;         // D: executors park after their current call instead of answering
  uint32_t effectful;    // H: an effectful Call of this epoch has been started
  uint32_t dropped;      // H: 0 no, 1 in progress, 2 the memory of the program has been given back
  uint32_t nslots;       // D
  uint32_t slots_ready;  // D, H: slots [0, slots_ready) have memory
  uint32_t cpu_changes;  // H: how often the program has set a CPU affinity since it left
  uint64_t arena;        // D: 0 = never captured
  int32_t deputy_fd;     // D: unix seqpacket socket to the deputy, above the program's descriptors
  int32_t fd_base;       // D: descriptors [fd_base, fd_base + nslots] are ours
  uint32_t ticket_word;  // H: low half of tickets_done, futex
  uint32_t ticket_waiters;  // H
  uint64_t tickets_done;    // H
  uint64_t drop_count;      // D: Ranges at arena + kControlPlan to give back after the first effect
  uint64_t calls;           // H: Calls executed, for `om ps` and the fence against a silent loss
  uint64_t mirror_failed;   // H: entries of `mirror`; more than it holds: beyond repair
  MirrorCall mirror[kMaxMirrorCalls];  // H
  uint32_t mirror_lock, slots_lock;    // H
  uint64_t drop_failed;                // H: ranges that could not be given back; D zeroes it
  uint64_t unknown_calls;              // H: Calls with a number that is in no table row
  KernelSigaction actions[65];         // D at capture, H while away: the program's own dispositions
  // Written by the kernel at home, for D: the ends of the deputy socket while it is being made, under numbers of the
  // program; -1 none. After D's death libom or another deputy closes them.
  int32_t pair[2];
  uint8_t session_id[16];  // D
  // H: threads without a deputy are restoring (1), have restored (2) dispositions and descriptors; D zeroes it
  uint32_t undone;
  uint32_t trace;         // D: 1: executors record their calls (trace.h)
  uint32_t place_lock;    // H: held while a thread has changed RLIMIT_NOFILE; D zeroes it
  uint32_t memory_files;  // D: files that show its own memory may be open (/proc/self/mem, ...)
  // D: the program's limit includes our descriptor numbers: copies of the deputy socket occupy the unused ones
  uint32_t row_is_full;
  // H: 1 + slot of the thread that gets its answer on the deputy socket itself, 0 none; D zeroes it
  uint32_t asker;
  uint64_t object_count;                    // D
  MemoryObject objects[kMaxMemoryObjects];  // D
  uint64_t executor_area_bytes;             // H: bytes that executors have mapped for large calls
  uint32_t member;                          // D: of the session; this process is its only one today
  uint32_t pad;
  // D: the highest number of a connection that was taken in this session (common/tls/pass.h); another deputy takes
  // higher ones only
  uint64_t attempt;
};

enum HomeThreadState : uint32_t {
  kSlotFree = 0,
  kSlotUsed = 1,
};

enum ExecPhase : uint32_t {
  kExecIdle = 0,    // receiving: the body computes, or its thread is parked
  kExecBusy = 1,    // between a received Call and its answer, outside the window
  kExecCall = 2,    // inside (or on the way into) the window or the transplant
  kExecHeld = 3,    // HomeState.hold: the call is finished, the answer kept, waiting for the deputy
  kExecFetch = 4,   // channel lost, waiting for a new one
  kExecGone = 5,    // thread is exiting
  kExecTicket = 6,  // a Call has been received and not begun: others come first
};

constexpr uint32_t kMaxNoted = 32;
// The call an executor is in, or has just finished.
struct HomeExec {
  uint64_t seq;
  uint32_t nr;
  uint32_t wire_flags;
  uint64_t program_args[6];  // as the program passed them
  // As the kernel at home gets them: pointers into libom's memory or, for a transplanted call, the program's own.
  uint64_t exec_args[6];
  uint32_t exec_nr;
  uint32_t transplanted;  // D: pointers are the program's
  int64_t result;
  uint32_t ret_flags;
  uint32_t finished;     // H: result is valid
  uint64_t deadline_ns;  // CLOCK_MONOTONIC, 0 none: for calls whose time left the kernel forgets
  uint64_t aux;
  uint64_t deref_cap[6];  // H (D for a transplanted call): room of value-result buffers
  uint32_t no_answer;     // H: the deputy acts on it, no Return is sent
  uint32_t timed;         // H: the call may have waited: its Return carries home's time
  Range program_memory;   // H: memory of the program that the blocked call uses; a drop spares it
  // CLOCK_MONOTONIC when a socket call began, 0 unknown: H, D for a transplanted call.
  uint64_t started_ns;
  uint64_t done;     // H: bytes transferred so far, if our stops have cut the transfer into pieces
  uint64_t sent;     // H: 1: its Return has been sent on the current connection
  uint64_t bounced;  // H: 1: its outputs lie in the mapping of the slot (bounce_address)
};

// Where a thread that runs our code for a deputy resumes if the deputy dies.
enum FrameKind : uint32_t {
  kFrameNone = 0,
  kFrameProgram = 1,   // in the program, from the ResumeFrame at kSlotFrame
  kFrameExecutor = 2,  // in the executor, from that at kSlotExecFrame (without vector state)
};

struct HomeThread {
  uint32_t state;         // HomeThreadState, D or H
  uint32_t slot;          // D or H
  int32_t tid;            // D or H: as the program sees it
  uint32_t ctid_word;     // kernel: cleared when the twin's exit is complete (H threads only)
  uint32_t phase;         // H: ExecPhase
  uint32_t cancel;        // H: checked inside the window
  uint32_t interrupted;   // D: a stop of ours may have made the call return EINTR or short
  uint32_t idle_ms;       // D: how long the thread had not run when a stop interrupted it
  uint64_t seq_started;   // H
  uint64_t seq_done;      // H
  uint32_t noted_head;    // H (catcher): caught signals, ring [tail, head)
  uint32_t noted_tail;    // H (executor)
  uint32_t noted_sent;    // H: how many of them are part of the kept Return
  uint32_t choked;        // H: all signals are blocked because the ring is nearly full
  HomeExec call;          // H; D writes it for a transplanted call
  uint64_t outs_address;  // H: packed outputs of the kept Return
  uint64_t outs_bytes;
  // H: mappings for the outputs of a large call and for a message larger than the buffer; may be kept for the next
  // one. 0 none.
  uint64_t bounce_address, bounce_bytes;
  uint64_t message_address, message_bytes;
  StreamState channel;   // H; the descriptor also D
  uint64_t timespec[2];  // H: scratch for timeouts that are handed to the kernel
  uint64_t sigarg[3];    // H: the same for pselect6's mask
  KernelThread kernel;   // D: alternate stack and rseq as home's kernel had them at capture
  uint32_t frame_valid;  // D: FrameKind
  uint32_t late;   // D: the process is home; when the call ends the thread resumes from its frame
  uint32_t keeps;  // D: the call goes on at home with its mappings; H zeroes it after their use
  uint32_t pad;
  uint64_t call_mask;             // H: signal mask to restore when the ring is no longer choked
  SignalRecord noted[kMaxNoted];  // H
  // H (catcher): a signal that ends the process with a core dump, number 0 = none. The process returns home first,
  // where D raises the signal again.
  SignalRecord core;
};
static_assert(kSlotBlock + sizeof(HomeThread) <= kSlotSeal);
static_assert(offsetof(HomeThread, phase) == 16);
static_assert(offsetof(HomeThread, cancel) == 20);

// For the part of a departure in which the process has no arena yet or a thread is still leaving the vDSO.
struct FirstAid {
  uint64_t clock_return;  // D: where that thread returns to (clock_return.S reads it at offset 0)
  uint64_t clock_slot;    // D: where its return address lies on its stack, 0 if untouched
  ResumeFrame frame;      // D: of the thread that maps the arena; without vector state
  int32_t stepped_tid;    // D: thread (as the deputy sees it) whose mask is not its own, 0 none
  uint32_t pad;
  uint64_t stepped_mask;  // D: its own
};
static_assert(offsetof(FirstAid, clock_return) == 0);

enum RemoteFunction : uint64_t {
  kRemoteDrop = 1,     // give the program's memory back (on the way back, unless an effect has)
  kRemoteApply = 2,    // copy a kept Return's outputs into the program's memory
  kRemoteTouch = 3,    // write to `argument` so that the stack grows down to it
  kRemoteTake = 5,     // take the channels, replace the program's dispositions with the catcher
  kRemoteRestore = 6,  // put the program's dispositions back
  kRemoteMirror = 7,   // repeat the address-space calls that have failed; 0 or -ENOMEM
};

}  // namespace om

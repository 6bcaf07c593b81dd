// SPDX-License-Identifier: Apache-2.0
//
// Everything that the daemons and libom know about each other's memory. A struct says at each field who
// writes it: D = om-deputy (ptrace, process_vm_writev, all threads stopped), K = om-guest (keeper),
// H = libom at home, B = libom in the body.
//
// The daemons check every value they read from here before use: the process may have scribbled over it.
//
// All of it in one file, of some 500 lines: the two sides of a field, and its offset, are seen together.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/layout.h"
#include "libom/abi/version.h"
#include "libom/abi/wire.h"

namespace om {

constexpr uint64_t kAnchorMagic = 0x31584f534d4f7055ull;  // "UpOMSOX1"
constexpr uint32_t kAnchorAbi = 4;                        // layout of the structs in this file

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
      exports_hi;          // code of libom's that is the program's: stopped and moved like it
  uint64_t first_inject;   // a bare syscall instruction for threads that have no slot yet
  uint64_t first_aid;      // FirstAid
  uint64_t continue_call;  // rsp = ContinueFrame (abi/continue.h)
  uint64_t clock_return,
      clock_return_end;  // where a thread that leaves the vDSO for the deputy waits for it
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

// Kernel's rt_sigaction layout.
struct KernelSigaction {
  uint64_t handler;
  uint64_t flags;
  uint64_t restorer;
  uint64_t mask;
};

// --------------------------------------------------------------------------------------- at home

enum HomePhase : uint32_t {
  kHomeNative = 0,    // nothing of ours is active
  kHomeCaptured = 1,  // D: stopped, prepared, not committed
  kHomeAway = 2,      // D: committed
  kHomeReturning =
      3,  // D: memory is home; what each thread needs to leave is in its slot (kSlotReturn)
};

struct Range {
  uint64_t lo, hi;
};

// A memory object (memfd, shared anonymous memory, file of /dev/shm without a name) that the process alone has, and
// sees in more than one way. It moves with all its mappings, which are views of it in the body, too. `view`: where the
// body has all of it, where at home executors map what they need (layout.h).
struct MemoryObject {
  uint64_t dev, inode;  // as stat says
  uint64_t view, bytes;
  uint64_t is_open;  // a descriptor of the process is open
};
constexpr uint32_t kMaxMemoryObjects = 16;
constexpr uint64_t page_up(uint64_t n) { return (n + kPageSize - 1) & ~(kPageSize - 1); }

// A call of the body's address space that home has not been able to repeat yet.
struct MirrorCall {
  uint32_t nr, pad;
  uint64_t args[6];
};
constexpr uint32_t kMaxMirrorCalls = 64;

struct HomeState {
  uint32_t phase;        // D
  uint32_t epoch;        // D: raised by each departure
  uint32_t hold;         // D: executors park after the call they are in, instead of answering
  uint32_t effectful;    // H: an effectful Call of this epoch has been started
  uint32_t dropped;      // H: 0 no, 1 in progress, 2 the memory of the program has been given back
  uint32_t nslots;       // D
  uint32_t slots_ready;  // D, H: slots [0, slots_ready) have memory
  uint32_t
      cpu_changes;     // H: how often the program has said since it left where its threads may run
  uint64_t arena;      // D: 0 = never captured
  int32_t session_fd;  // D: unix seqpacket socket to the deputy, above the program's descriptors
  int32_t fd_base;     // D: descriptors [fd_base, fd_base + nslots] are ours
  uint32_t ticket_word;     // H: low half of tickets_done, futex
  uint32_t ticket_waiters;  // H
  uint64_t tickets_done;    // H
  uint64_t drop_count;      // D: Ranges at arena + kControlPlan to give back after the first effect
  uint64_t calls;           // H: Calls executed, for `om ps` and the fence against a silent loss
  uint64_t mirror_failed;   // H: entries of `mirror`; more than it holds: it can never be mended
  MirrorCall mirror[kMaxMirrorCalls];  // H
  uint32_t mirror_lock, slots_lock;    // H
  uint64_t drop_failed;                // H: ranges that could not be given back; D zeroes it
  uint64_t unknown_calls;              // H: Calls with a number that is in no table row
  KernelSigaction actions[65];         // D at capture, H while away: the program's own dispositions
  // The kernel at home, for D: the ends of the session connection while it is being made, with numbers of the
  // program's; -1 none. Whoever finds them after D has died closes them.
  int32_t pair[2];
  uint8_t session_id[16];  // D
  // H: dispositions and descriptors are (1), have been (2) put back by threads without a deputy; D zeroes it
  uint32_t undone;
  uint32_t trace;         // D: 1: executors write down what they do (trace.h)
  uint32_t place_lock;    // H: a thread has raised the limit of descriptor numbers; D zeroes it
  uint32_t memory_files;  // D: files of its own memory may be open (/proc/self/mem, ...)
  // D: the program may open descriptors with our numbers: a copy of the session socket has each that is unused
  uint32_t row_is_full;
  // H: 1 + slot of the thread that is answered on the session socket, 0 none; D zeroes it
  uint32_t asker;
  uint64_t object_count;                    // D
  MemoryObject objects[kMaxMemoryObjects];  // D
  uint64_t executor_area_bytes;             // H: what executors have mapped for large calls
};

enum HomeThreadState : uint32_t {
  kSlotFree = 0,
  kSlotUsed = 1,
};

enum ExecPhase : uint32_t {
  kExecIdle = 0,   // receiving: the body computes, or its thread is parked
  kExecBusy = 1,   // between a received Call and its answer, outside the window
  kExecCall = 2,   // inside (or on the way into) the window or the transplant
  kExecHeld = 3,   // HomeState.hold: the call is finished, the answer kept, waiting for the deputy
  kExecFetch = 4,  // channel lost, waiting for a new one
  kExecGone = 5,   // thread is exiting
};

constexpr uint32_t kMaxNoted = 32;
// The call an executor is in, or has just finished.
struct HomeExec {
  uint64_t seq;
  uint32_t nr;
  uint32_t wire_flags;
  uint64_t program_args[6];  // as the program passed them
  uint64_t
      exec_args[6];  // as the kernel at home gets them: pointers into libom's memory, or (for a
                     // transplanted call) the program's own
  uint32_t exec_nr;
  uint32_t transplanted;  // D: pointers are the program's
  int64_t result;
  uint32_t ret_flags;
  uint32_t finished;  // H: result is valid
  uint64_t
      deadline_ns;  // CLOCK_MONOTONIC, 0 none: for calls whose remaining time the kernel forgets
  uint64_t aux;
  uint64_t deref_cap[6];  // H (D for a transplanted call): room of value-result buffers
  uint32_t no_answer;     // H: the deputy acts on it, no Return is sent
  uint32_t timed;         // H: the call may have waited: its Return says home's time
  Range
      program_memory;  // H: what of the program's memory at home the call uses while it blocks; a drop
                       // leaves it alone
  uint64_t
      started_ns;  // CLOCK_MONOTONIC when a socket call began, 0 unknown: H, D for a transplanted call
  uint64_t done;     // H: bytes of a transfer that stops of ours have cut into pieces
  uint64_t sent;     // H: 1: its Return has left on the connection that is open
  uint64_t bounced;  // H: 1: its outputs lie in the mapping of the slot (bounce_address)
};

// Where a thread goes on that runs code of ours for a deputy that dies.
enum FrameKind : uint32_t {
  kFrameNone = 0,
  kFrameProgram = 1,   // the program, by the ResumeFrame at kSlotFrame
  kFrameExecutor = 2,  // the executor, by the ResumeFrame at kSlotExecFrame (without vector state)
};

struct HomeThread {
  uint32_t state;         // HomeThreadState, D or H
  uint32_t slot;          // D or H
  int32_t tid;            // D or H: as the program sees it
  uint32_t ctid_word;     // kernel: cleared when the twin's exit is complete (H threads only)
  uint32_t phase;         // H: ExecPhase
  uint32_t cancel;        // H: checked inside the window
  uint32_t interrupted;   // D: a stop of ours may have made the call return EINTR or short
  int32_t channel_fd;     // D or H, -1 none
  uint64_t seq_started;   // H
  uint64_t seq_done;      // H
  uint32_t noted_head;    // H (catcher): caught signals, ring [tail, head)
  uint32_t noted_tail;    // H (executor)
  uint32_t noted_sent;    // H: how many of them are part of the kept Return
  uint32_t choked;        // H: all signals are blocked because the ring is nearly full
  HomeExec call;          // H; D writes it for a transplanted call
  uint64_t outs_address;  // H: packed outputs of the kept Return
  uint64_t outs_bytes;
  // H: mappings for the outputs of a large call and for a message larger than the buffer; they may stay for the
  // next one. 0 none.
  uint64_t bounce_address, bounce_bytes;
  uint64_t message_address, message_bytes;
  uint64_t recv_fill;     // H: bytes in the receive buffer
  uint64_t recv_used;     // H: of which the message before used these
  uint64_t timespec[2];   // H: scratch for timeouts that are handed to the kernel
  uint64_t sigarg[3];     // H: the same for pselect6's mask
  uint64_t altstack[3];   // D: the program's alternate stack at capture: sp, flags, size
  uint64_t rseq_address;  // D: as registered with home's kernel, 0 none
  uint32_t rseq_size, rseq_signature;
  uint32_t frame_valid;  // D: FrameKind
  uint32_t late;  // D: the process is home; when the call ends the thread resumes by its frame
  uint32_t
      keeps;  // D: the call goes on at home: its mappings stay; H zeroes it when they are not needed
  uint32_t idle_ms;    // D: how long it had not run when a stop interrupted it (with `interrupted`)
  uint64_t call_mask;  // H: signal mask to put back when the ring is no longer choked
  SignalRecord noted[kMaxNoted];  // H
  SignalRecord
      core;  // H (catcher): a signal that ends the process with a core, number 0 = none. The process
             // comes home for it; D raises it there again
};
static_assert(sizeof(HomeThread) <= kSlotBlockSize);
static_assert(offsetof(HomeThread, phase) == 16);
static_assert(offsetof(HomeThread, cancel) == 20);

// For the moments of a departure in which the process has no arena yet, or a thread is on its way out of the vDSO.
struct FirstAid {
  uint64_t
      clock_return;  // D: where that thread returns to (libom/shim/clock_return.S reads it at offset 0)
  uint64_t clock_slot;  // D: the place of its return address on its stack, 0 if that is untouched
  ResumeFrame frame;    // D: of the thread that maps the arena; without vector state
  int32_t stepped_tid;  // D: thread (as the deputy sees it) whose mask is not its own, 0 none
  uint32_t pad;
  uint64_t stepped_mask;  // D: its own
};
static_assert(offsetof(FirstAid, clock_return) == 0);

// Messages on the session socket between libom at home and the deputy (unix seqpacket).
enum HomeMessageType : uint32_t {
  kHomeRemoteDone = 1,  // H: a remote function has finished: slot, a = result
  kHomeKick = 2,        // H: slot has a signal for a body that may be computing
  kHomeWantHome = 3,    // H: slot, a = call number that must run at home; kNrSetMask: signals
                        // come faster than a round trip takes
  kHomeExecing = 4,     // H: execve is about to be tried / has failed (a = 1 / 0)
  kHomeEffect = 5,      // H: the first effectful Call has been started
  kHomeCpus = 6,        // H: where a thread may run has changed: a = HomeState.cpu_changes
};
struct HomeMessage {
  uint32_t type;
  uint32_t slot;
  uint64_t a;
};

// An executor that lost its channel sends this on the session socket, with an end of a new socket pair attached; the
// answer comes there: one FetchReply with the new channel attached (verdict 0), or a verdict without. Where the program
// has no descriptor number left for a pair, one executor at a time is answered on the session socket itself.
struct FetchRequest {
  uint64_t magic;  // kFetchMagic: no HomeMessage has its size
  uint8_t session_id[16];
  uint32_t slot;
  uint32_t epoch;
  int32_t tid;
  uint32_t here;  // 1: nothing is attached, the answer is to come on the session socket
};
constexpr uint64_t kFetchMagic = 0x4843544546544d4full;
static_assert(sizeof(FetchRequest) != sizeof(HomeMessage));
struct FetchReply {
  uint32_t verdict;  // 0 channel attached, 1 wait and ask again, 2 the session is over
  uint32_t slot;
};

// Channels at capture, on the session connection, with `count` descriptors attached.
constexpr uint32_t kChannelBatch = 64;
struct ChannelBatch {
  uint32_t count;
  uint32_t last;  // 1: no more follow
  uint32_t slot[kChannelBatch];
};

enum RemoteFunction : uint64_t {
  kRemoteDrop = 1,     // give the program's memory back (return path, when no effect did it before)
  kRemoteApply = 2,    // copy a kept Return's outputs into the program's memory
  kRemoteTouch = 3,    // write to `argument` so that the stack grows down to it
  kRemoteTake = 5,     // take the channels, replace the program's dispositions by the catcher
  kRemoteRestore = 6,  // put the program's dispositions back
  kRemoteMirror = 7,   // repeat the address-space calls that have failed; 0 or -ENOMEM
};

// --------------------------------------------------------------------------------------- in a body

enum BodyPhase : uint32_t {
  kBodyUser = 0,     // program code runs
  kBodyGate = 1,     // gate code runs
  kBodyWaiting = 2,  // waits for a Return
  kBodyParked = 3,   // stands still for the keeper
  kBodyGone = 4,
};

// What a thread has to do next; travels between deputy and keeper (session.capnp carries it as Data).
enum ThreadKind : uint32_t {
  kThreadUser = 1,     // run at regs
  kThreadWaiting = 2,  // its call is executing at home: wait for Return `seq`, then go on at regs
};

struct ThreadState {
  uint32_t slot;
  int32_t tid;               // home tid
  uint32_t kind;             // ThreadKind
  uint32_t nr;               // kThreadWaiting: the call
  uint64_t args[6];          // as the program passed them
  uint64_t seq;              // last sequence number issued in this epoch
  uint64_t regs[kGprCount];  // rip is after the syscall instruction for kThreadWaiting
  uint64_t fs_base;
  uint64_t sigmask;
  uint64_t altstack[3];  // sp, flags, size
  uint64_t ctid;
  uint64_t robust_head, robust_size;
  uint64_t rseq_address;
  uint32_t rseq_size, rseq_signature;
  uint64_t xstate_bytes;  // of the xsave area that follows in home's layout
  uint64_t returned;      // B: last Return processed
  uint64_t cpu_ns;        // B: CPU time used in this body
  uint64_t reserved[4];
};
static_assert(sizeof(ThreadState) == 352);
static_assert(kSlotReturn + sizeof(ThreadState) <= kSlotExecFrame);
static_assert(kSlotExecFrame + sizeof(ResumeFrame) == kSlotFrame + kSlotFrameSize);

// One unanswered Call that the program did not wait for; kept for a reconnect. 128 bytes.
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
  uint32_t kick;             // B (kick handler): look at stop and at home's signals; offset 160
  uint32_t phase;            // B: BodyPhase
  uint32_t slot;             // K/B
  int32_t home_tid;          // K/B
  int32_t body_tid;          // B
  int32_t channel_fd;        // B, -1 none
  uint32_t busy;             // B: 1 from clone until the very last instruction of the exit
  uint32_t full_exit;        // B: leave with IRETQ, all registers
  uint32_t kind;             // K at start, B at park: ThreadKind
  uint32_t park_seen;        // B: generation of the stop it is parked for
  uint64_t seq;              // B: last sequence sent (or, for a transplanted call, assumed)
  uint64_t returned;         // B: last Return processed
  uint64_t call_args[6];     // B: of the call being waited for, as the program passed them
  uint32_t call_nr;          // B
  uint32_t call_sent;        // B: the Call has (at least partly) been sent
  uint64_t call_seq;         // B
  uint64_t sigmask;          // B: cache of the mask at home
  uint64_t altstack[3];      // B: the program's, sp flags size
  uint64_t ctid;             // B
  uint64_t robust_head, robust_size;  // B
  uint64_t rseq_address;              // B
  uint32_t rseq_size, rseq_signature;
  uint64_t fs_base;       // B
  uint32_t fault_signal;  // B: synchronous fault being delivered
  uint32_t capability;    // B: of the channel's bootstrap
  uint64_t fault_error, fault_trap, fault_cr2;
  uint8_t fault_info[128];
  uint64_t recv_fill, recv_used;  // B: receive buffer
  uint64_t finish_lo, finish_hi;  // B: sequences whose Finish goes out with the next Call, 0 none
  uint32_t pending_head, pending_tail;  // B: ring of PendingCall, [tail, head)
  uint32_t connected;                   // B: handshake sent on channel_fd
  uint32_t have_capability;             // B: the bootstrap has been answered
  uint32_t sent_here;      // B: the waited Call has been sent on the connection that is open
  uint32_t need_resume;    // B: nothing may be sent before home has said what it knows
  uint32_t asked_channel;  // B: the keeper owes this slot a channel
  uint64_t xsave_bytes;    // B: valid bytes of the slot's xsave area while parked
  uint64_t cpu_ns;         // B: CPU time of this body's thread when it parked
  uint32_t want_home;      // B: 1 while the thread asks to go home
  uint32_t stepping;       // B: being single-stepped out of the clock functions
  uint32_t starved;        // B: grows while signals leave the program no time for a call
  uint32_t pad;
  uint64_t reserved[7];
  PendingCall pending[kWindowCalls];
};
static_assert(offsetof(BodyThread, regs) == 16);
static_assert(offsetof(BodyThread, kick) == 160);
static_assert(sizeof(BodyThread) <= kSlotBlockSize);

struct XstateTable {
  uint32_t size;   // of the whole area
  uint32_t count;  // components described
  uint64_t xcr0;
  struct {
    uint32_t offset, size;
  } component[20];  // index = component number; 0 and 1 are the legacy area
};

// How far the body's clocks are from home's. Reader: sequence even and unchanged.
struct ClockPage {
  uint32_t sequence;  // K: odd while writing
  uint32_t pad;
  int64_t mono_offset_ns;  // K: add to the local monotonic clock at `base_ns`
  int64_t real_offset_ns;  // K
  int64_t base_ns;         // K: local CLOCK_MONOTONIC
  int64_t slew_ppb;        // K: change of both offsets per second of local time, until limit_ns
  int64_t limit_ns;        // K: local CLOCK_MONOTONIC, slewing ends here
  int64_t
      mono_floor_ns;  // B: the offsets are at least these: home said what time it was when it answered a
  int64_t
      real_floor_ns;  //    call that had waited (the keeper does not write them after the start)
};

constexpr uint32_t kMaxTouched = 512;
constexpr uint32_t kMaxFileRanges = 2048;

// Why a range is in BodyState.file_ranges, in the low bits of its `lo`; none of them: a file is behind it.
constexpr uint64_t kRangeShared = 1;  // shared memory: home's kernel keeps what no mapping shows
constexpr uint64_t kRangeLocked = 2;  // locked into memory
constexpr uint64_t kRangeObject = 3;  // a view of a MemoryObject
constexpr uint64_t kRangeMarks = 3;

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
  uint64_t caught;                   // K at start, B: signals that have a handler of the program
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
  uint64_t file_range_count;  // K at start, B: mappings with a file behind them at home, shared and
                              // locked memory; > kMaxFileRanges = assume all
  Range file_ranges[kMaxFileRanges];
  uint64_t calls, traps, unknown_calls;  // B
  uint32_t fd_size;      // K at start, B: size of the program's own descriptor table (FDSize)
  uint32_t membarriers;  // B: expedited commands that home has granted
  char uts[6][65];       // K: uname fields of home
  uint8_t pad2[2];
  uint64_t stack_prot;    // K
  uint64_t writes_files;  // K: 1: a shared mapping of a file can be written through
  uint64_t object_count;  // K
  MemoryObject objects[kMaxMemoryObjects];  // K: without dev and inode
  uint32_t pins;  // K: 1: threads run where they may at home, and `cpu_changes` follows home's
  uint32_t cpu_changes;  // K: HomeState.cpu_changes that the threads of the body are in accord with
  uint64_t reserved[7];
};

// Messages on the keeper socket (descriptor 3 of the body, unix seqpacket).
enum BodyMessageType : uint32_t {
  kBodyLaunch =
      1,  // K: slot = slots to map; a = image_lo, b = image_hi, c = arena, d = arena bytes, e = gate_lo, f = gate_hi
  kBodyMapped = 2,  // B: a = 0 or -errno
  kBodyEnter = 3,   // K: a = body_entry, b = slot address, c = number of LaunchSegments that follow
  kBodyRestored = 4,     // B: address space exists; a = 0 or -errno, b = address it failed at
  kBodyFilled = 5,       // K: memory is in
  kBodyReady = 6,        // B: threads exist; a = 0 or -errno
  kBodyCommit = 7,       // K: go
  kBodyNeedChannel = 8,  // B: slot
  kBodyChannel = 9,      // K: slot, descriptor attached; a = 0 or -errno
  kBodyIsParked = 10,    // B: slot, a = generation
  kBodyPanic = 11,       // B: a = value, b.. = text; the body ends
  kBodyObject = 12,      // K: before kBodyEnter: memory object attached, to be mapped [a, b)
};
struct BodyMessage {
  uint32_t type;
  uint32_t slot;
  uint64_t a, b, c, d, e, f;
};
static_assert(sizeof(BodyMessage) == 56);

struct LaunchSegment {
  uint64_t lo, hi;
  uint32_t prot;
  uint32_t pad;
};
constexpr uint32_t kMaxSegments = 16;

// What the restorer has to build; written by the keeper at arena + kControlPlan.
enum PlanKind : uint32_t {
  kPlanUnmap = 1,     // [lo, hi) of the fresh process goes away
  kPlanMoveVdso = 2,  // [lo, hi) moves to `arg`
  kPlanMap = 3,       // private anonymous, writable until kPlanProtect
  kPlanReserve = 4,   // PROT_NONE placeholder
  kPlanProtect = 5,   // final protection, after the fill
  kPlanView = 7,      // memory from `arg` on, of an object, is to be seen here, too
  kPlanGuard = 6,     // every touch of [lo, hi) is to be a fault, whatever its protection becomes
};
struct PlanEntry {
  uint64_t lo, hi;
  uint32_t kind;
  uint32_t prot;
  uint64_t arg;
};
static_assert(sizeof(PlanEntry) == 32);
struct RestorePlan {
  uint64_t magic;
  uint32_t before;  // entries to carry out before the fill
  uint32_t after;   // entries after it, following the first
  // PlanEntry[before + after] follows
};
constexpr uint64_t kPlanMagic = 0x4e414c504d4f5031ull;
constexpr uint32_t kMaxPlanEntries = (kControlPlanSize - sizeof(RestorePlan)) / sizeof(PlanEntry);

}  // namespace om

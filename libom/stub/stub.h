// SPDX-License-Identifier: Apache-2.0
//
// The home half: a parked thread of the original process serves the Calls of its body thread. Runs on the
// slot's stack inside the program's own process, beside nothing of the program (all of it is away), with the
// program's own signal mask, so that the kernel treats the thread as it always did.
//
// Fenced code: no libc, no TLS, no program memory except where a transplanted call or the copy of a Return
// needs it (stub/memory.cc). Context tags: `exec` = executor on its slot stack, `catch` = signal handler.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/kernel.h"
#include "libom/abi/session.h"
#include "libom/abi/syscall_desc.h"
#include "libom/safe/rpc_encode.h"

namespace om::stub {

extern HomeState g_home;      // written by the deputy while every thread is stopped
extern FirstAid g_first_aid;  // the same

// A received Call while it is being executed.
struct HomeCall {
  HomeThread* thread;
  HomeExec* exec;            // in the slot: survives moves
  const SyscallDesc* desc;   // row, with a command's arguments put in; nullptr for wire-only calls
  SyscallDesc command_desc;  // storage for that
  uint64_t args[6];          // as the program passed them, normalised
  const uint8_t* ins;        // input memory of the Call
  uint64_t ins_bytes;
  uint64_t ins_used;
  uint32_t wire_flags;
  uint32_t extra_flags;  // Return flags that the handler wants
};

// The gate could not touch what argument `i` points to: the kernel gets bad_pointer().
inline bool is_bad(const HomeExec& e, uint32_t i) { return (e.wire_flags & kCallBad << i) != 0; }

inline HomeThread* thread_of(const void* stack_address) {
  return reinterpret_cast<HomeThread*>(
      (reinterpret_cast<uintptr_t>(stack_address) & ~(kSlotSize - 1)) + kSlotBlock);
}
inline HomeThread* thread_at(uint32_t slot) {
  return reinterpret_cast<HomeThread*>(slot_address(g_home.arena, slot) + kSlotBlock);
}
inline uint8_t* slot_base(const HomeThread* t) {
  return reinterpret_cast<uint8_t*>(reinterpret_cast<uintptr_t>(t) - kSlotBlock);
}

// An address as bad as the program's: what is no user memory at all is refused earlier than what is not mapped,
// for which the slot's guard page stands.
inline uint64_t bad_pointer(const HomeThread* t, uint64_t given) {
  constexpr uint64_t kUserEnd = uint64_t{1} << 47;
  return given < kUserEnd ? reinterpret_cast<uint64_t>(slot_base(t)) : given;
}

inline uint64_t address_of_stack(const HomeThread* t) {
  return reinterpret_cast<uint64_t>(t) - kSlotBlock + kSlotStack + kSlotStackSize - 64;
}

// execute.cc ------------------------------------------------------------------------------------------

// Executes c and leaves the result in c.exec and the outputs packed (pack()).
// Context: exec
void execute(HomeCall& c);
// Runs exec_nr/exec_args inside the cancellable window, with what stops of ours need (repetition, rest).
// Context: exec
long run_window(HomeThread* t, const SyscallDesc* desc);
// The window or the transplant has returned `r`: repeats, continues, classifies. Final result.
// Context: exec
long after_window(HomeThread* t, const SyscallDesc* desc, long r);
// The call itself: exec_nr with exec_args, called off (kAborted) by a signal that comes before it blocks.
// Context: exec
long window(HomeThread* t);
// May a stop of the deputy have made the call return EINTR or short? It tells, but before it stops executors it asks
// them to hold: should it die then, nobody tells. The first of these forgets what was told.
// Context: exec
bool was_stopped(HomeThread* t);
bool is_stopped(HomeThread* t);
// Finds the row of exec.nr with its command's arguments put in. nullptr when there is none.
// Context: exec
const SyscallDesc* row_of(HomeThread* t, SyscallDesc& storage);

// CLOCK_MONOTONIC, ns. By the vDSO, if the kernel has one: most calls ask.
// Context: exec
uint64_t monotonic_ns();
extern int (*g_vdso_clock_gettime)(int clock, k::Timespec* ts);  // shim/init.cc writes it
// For `om trace` (trace.cc): when the call began, 0 if nobody looks; and that it has ended.
uint64_t trace_begin();
void trace_end(HomeThread* t, uint64_t begun);

// mirror.cc -------------------------------------------------------------------------------------------

// Does at home what the body has done to its address space. Nobody waits unless `waited`: a failure is kept
// and tried again. Result or -errno.
// Context: exec
long mirror_call(const MirrorCall& call, bool waited);
// Everything on record. 0, or -ENOMEM: something still fails.
// Context: exec
long repeat_mirror_calls();

// transfer.cc -----------------------------------------------------------------------------------------

// Did the call end after `done` bytes or messages although more were asked for, for no reason that the program knows.
// Context: exec
bool is_cut_short(HomeThread* t, long done);
// Is the call one that a timeout of its socket ends.
// Context: exec
bool has_socket_timeout(HomeThread* t);
// Does what is left after `done`, or, if that is no more than 0, of a call under a timeout of its socket all of it.
// The result of the whole. While it blocks, exec.done is what has been transferred.
// Context: exec
long do_rest_of_call(HomeThread* t, long done);

// marshal.cc ------------------------------------------------------------------------------------------

// Takes `bytes` of input memory (padded to 8); nullptr when the Call has fewer.
// Context: exec
const uint8_t* take_ins(HomeCall& c, uint64_t bytes);
// exec_args from args, ins and fresh bounce memory. 0 or -errno (malformed Call: -EPROTO; -EINTR: not to be executed
// here, see leave_it_to_program).
// Context: exec
long unpack(HomeCall& c);
// The Call has done nothing yet and cannot be executed: the process comes home and makes it itself. -EINTR.
// Context: exec
long leave_it_to_program(HomeCall& c);
// Bounce memory of the slot for outputs, zero-filled up to `bytes`; larger than the slot's is mapped.
// nullptr when memory is short.
// Context: exec
uint8_t* bounce(HomeThread* t, uint64_t bytes);
// Packs the outputs of the finished call behind each other at t->outs_address.
// Context: exec
void pack(HomeThread* t, const SyscallDesc& desc);
// Does [at, at + bytes) touch memory of libom's own: its image, the arena, or what executors map. A body has no
// business there.
// Context: exec
bool hits_libom(uint64_t at, uint64_t bytes);
// Copies from the program's memory at home (transplanted calls) or from our own; false when not readable.
// Neither read_program() nor write_program() touches memory of libom's.
// Context: exec
bool read_memory(const HomeThread* t, void* to, uint64_t from, uint64_t bytes);
bool write_memory(const HomeThread* t, uint64_t to, const void* from, uint64_t bytes);
bool read_program(void* to, uint64_t from, uint64_t bytes);
bool write_program(uint64_t to, const void* from, uint64_t bytes);
void release_bounce(HomeThread* t);
void release_message(HomeThread* t);
// The process is home, or the thread ends: nothing of a slot's stays mapped.
// Context: exec
void unmap_private(HomeThread* t);
enum PrivatePlace : uint32_t { kForOutputs = 0, kForMessage = 1 };
// Memory of ours of a size that no slot has room for, in the window where the body maps nothing: what it maps is
// mapped here at the same addresses. Released, it may stay mapped for the next call. nullptr when memory is short.
// Context: exec
uint8_t* map_private(HomeThread* t, PrivatePlace place, uint64_t bytes);

// executor.cc -----------------------------------------------------------------------------------------

// Takes messages from the channel for ever.
// Context: exec
[[noreturn]] void serve(HomeThread* t);
// Sends the kept Return of t->exec.
// Context: exec
void send_return(HomeThread* t);
// A finished call waits here while the deputy holds the process.
// Context: exec
void wait_while_held(HomeThread* t);

// session.cc ------------------------------------------------------------------------------------------

// Context: exec, catch
void tell_deputy(uint32_t type, uint32_t slot, uint64_t a);
// The channel is broken: gets a new one from the deputy. Returns when channel_fd is connected.
// Context: exec
void fetch_channel(HomeThread* t);
// Asks the deputy for a channel: `end`, of a pair, is where the answer is to come; -1: on the session socket. 0 or
// -errno.
// Context: exec
long send_request(const HomeThread* t, int32_t end);
// The descriptor attached to the answer, or -errno.
// Context: exec
long receive_channel(long s, uint32_t flags);
// One request where the program has no descriptor number left. The channel, with this number, or -errno (crowded.cc).
// Context: exec
long ask_here(HomeThread* t, long number);
// Is this descriptor number libom's own.
inline bool is_ours(uint64_t fd) {
  const auto n = static_cast<int32_t>(fd);
  return g_home.phase == kHomeAway && n >= g_home.fd_base &&
         n <= g_home.fd_base + static_cast<int32_t>(g_home.nslots);
}

// messages.cc -----------------------------------------------------------------------------------------

bool is_message_call(uint32_t nr);
// Packs the outputs of a transplanted message call.
// Context: exec
void pack_messages(HomeThread* t);
// The outputs of a message call go into the program's memory at home (the thread came home while it waited).
// Context: exec
long apply_messages(HomeThread* t);

// remote.cc -------------------------------------------------------------------------------------------

// The process is home and this thread's call has ended: back to the program.
// Context: exec
[[noreturn]] void finish_late(HomeThread* t);
// The same for a departure whose deputy died before home had decided; returns if this is not so.
// Context: exec
void leave_if_home(HomeThread* t);

// signal.cc -------------------------------------------------------------------------------------------

inline uint32_t noted(const HomeThread* t) { return t->noted_head - t->noted_tail; }
// Copies the noted signals [tail, head) out, at most `room`; their count.
// Context: exec
uint32_t copy_noted(const HomeThread* t, SignalRecord* to, uint32_t room);
// The gate has the first `count` of them.
// Context: exec
void drop_noted(HomeThread* t, uint32_t count);
// Installs the native disposition that stands for the program's `action` of `sig`.
// Context: exec
long install(uint32_t sig, const KernelSigaction& action);
// SA_RESETHAND, if `action` has it: flags and mask stay, as in the kernel.
// Context: exec, catch
void reset_handler(uint32_t sig, const KernelSigaction& action);

// objects.cc ------------------------------------------------------------------------------------------

constexpr uint32_t kNoObject = ~0u;
// Which of g_home.objects the descriptor is for.
// Context: exec
uint32_t object_of(uint64_t fd);
// Has the call a descriptor of a memory object that is away, so that only the program, at home, can make it.
// Context: exec
bool needs_object(const HomeCall& c);

// steady_file.cc --------------------------------------------------------------------------------------

// May a shared mapping of this descriptor, which the program cannot write through, be a copy in the body.
// Context: exec
bool is_steady_file(uint64_t fd);

// drop.cc ---------------------------------------------------------------------------------------------

// The call blocks on memory of the program at home: it must stay (until program_memory is empty again).
// Context: exec
void use_program_memory(HomeExec& e, uint64_t address, uint64_t bytes);
// Gives the program's memory back, once.
// Context: exec
void drop_memory();

}  // namespace om::stub

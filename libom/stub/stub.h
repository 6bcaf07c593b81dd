// SPDX-License-Identifier: Apache-2.0
//
// The home half: a parked thread of the original process serves the Calls of its body thread. It runs on the
// slot's stack inside the program's own process, where nothing of the program is left (all of it is away), with the
// program's own signal mask, so that the kernel treats the thread as it always did.
//
// Fenced code: no libc, no TLS, no program memory except where a transplanted call or the copy of a Return
// needs it (program_memory.h). Context tags: `exec` = executor on its slot stack, `catch` = signal handler.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/home.h"
#include "libom/abi/kernel.h"
#include "libom/abi/sockets.h"
#include "libom/abi/syscall_desc.h"
#include "libom/safe/rpc_encode.h"
#include "libom/safe/seal.h"

namespace om::stub {

extern HomeState g_home;      // written by the deputy while every thread is stopped
extern FirstAid g_first_aid;  // the same

// A received Call while it is being executed.
struct HomeCall {
  HomeThread* thread;
  HomeExec* exec;            // in the slot: survives moves
  const SyscallDesc* desc;   // row, command's arguments merged in; nullptr for wire-only calls
  SyscallDesc command_desc;  // storage for that
  uint64_t args[6];          // as the program passed them, normalised
  const uint8_t* ins;        // input memory of the Call
  uint64_t ins_bytes;
  uint64_t ins_used;
  uint32_t wire_flags;
  uint32_t extra_flags;  // Return flags that the handler wants
};

// Whether the gate could not access what argument `i` points to: the kernel then gets bad_pointer().
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

inline safe::Seal& seal_of(HomeThread* t) {
  return *reinterpret_cast<safe::Seal*>(slot_base(t) + kSlotSeal);
}

// An address as bad as the program's: the kernel refuses one outside user memory earlier than an unmapped one, which
// the slot's guard page stands for.
inline uint64_t bad_pointer(const HomeThread* t, uint64_t given) {
  constexpr uint64_t kUserEnd = uint64_t{1} << 47;
  return given < kUserEnd ? reinterpret_cast<uint64_t>(slot_base(t)) : given;
}

inline uint64_t address_of_stack(const HomeThread* t) {
  return reinterpret_cast<uint64_t>(t) - kSlotBlock + kSlotStack + kSlotStackSize - 64;
}

}  // namespace om::stub

// SPDX-License-Identifier: Apache-2.0
//
// A thread in transit: its kernel-held part, and what the other side needs to run it.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/layout.h"

namespace om {

// The kernel-held part of a thread that every kernel running it must know: home's before and after, the other node's
// in between. Copied as a whole.
struct KernelThread {
  uint64_t fs_base;
  uint64_t sigmask;
  uint64_t altstack[3];  // sp, flags, size
  uint64_t ctid;         // clear_child_tid
  uint64_t robust_head, robust_size;
  uint64_t rseq_address;  // 0 none
  uint32_t rseq_size, rseq_signature;
};
static_assert(sizeof(KernelThread) == 80);

// State of a thread's end of a channel, kept in its slot for libom/safe/stream.h.
struct StreamState {
  int32_t fd;       // -1 none
  uint32_t sealed;  // StreamSeal
  uint64_t filled;  // bytes in the receive buffer, opened if the channel is sealed
  uint64_t used;    // of these, bytes already taken
};
static_assert(sizeof(StreamState) == 24);

// Whether the bytes of a channel are sealed, and how far its keys (kSlotSeal) are.
enum StreamSeal : uint32_t {
  kStreamPlain = 0,
  kStreamOffered = 1,  // keys have come with the descriptor and are not expanded yet
  kStreamSealed = 2,
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
  KernelThread kernel;
  uint64_t xstate_bytes;  // size of the xsave area that follows, in home's layout
  uint64_t returned;      // B: last Return processed
  uint64_t cpu_ns;        // B: CPU time used in this body
  uint64_t reserved[4];
};
static_assert(sizeof(ThreadState) == 352);
static_assert(kSlotReturn + sizeof(ThreadState) <= kSlotExecFrame);
static_assert(kSlotExecFrame + sizeof(ResumeFrame) == kSlotFrame + kSlotFrameSize);

}  // namespace om

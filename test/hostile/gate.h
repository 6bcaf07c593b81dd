// SPDX-License-Identifier: Apache-2.0
//
// What a hostile guest knows: everything. While it is away libom's gate, its blocks and buffers lie in its own
// address space; these functions use them as no well-behaved program does. Only for programs that are preloaded.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/anchor.h"
#include "libom/abi/body.h"
#include "libom/safe/rpc_encode.h"

namespace om::hostile {

// Of the libom.so in this process; ends the program with status 99 if there is none.
const Anchor& anchor();
inline BodyState& body_state() { return *reinterpret_cast<BodyState*>(anchor().body_state); }
// The block of the calling thread. Only while away.
BodyThread* block();

// The gate's own system call instruction, behind its back. Result or -errno, if the body survives it.
long gate_syscall(long nr, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0,
                  uint64_t e = 0, uint64_t f = 0);
inline uint64_t address(const void* p) { return reinterpret_cast<uint64_t>(p); }

// A Call to home, written to this thread's channel instead of by the gate, with any contents. The answer's
// result, and in `outs` what came with it (at most `room` bytes; their number in `got`).
struct Answer {
  bool exception;  // an RPC exception, no Return of a Call
  safe::ForwardResults results;
  size_t got;
};
Answer forge(const safe::ForwardParams& params, const void* ins, size_t ins_bytes,
             void* outs = nullptr, size_t room = 0);
// The same as the next Call of this thread, in order.
Answer forge_next(uint32_t nr, const uint64_t (&args)[6], const void* ins = nullptr,
                  size_t ins_bytes = 0, uint32_t flags = 0, void* outs = nullptr, size_t room = 0);
// The number that the next Call of this thread has to have.
uint64_t next_sequence();

// Everything to this thread's channel, in records if that is sealed. False: the connection is lost.
bool say(const void* data, size_t bytes);
// Everything to descriptor `fd` of the body.
bool write_raw(int fd, const void* data, size_t bytes);

// A further thread that neither gate nor keeper knows and no signal reaches. `entry` does not return.
void hidden_thread(void (*entry)(void*), void* argument);

}  // namespace om::hostile

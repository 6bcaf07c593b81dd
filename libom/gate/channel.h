// SPDX-License-Identifier: Apache-2.0
//
// One body thread's connection to its executor: getting it from the keeper, the handshake after a loss, raw
// reads and writes, and the bytes of Calls. No meaning of calls here (forward.cc).
//
// A lost connection is not an error for the caller: every function that finds it lost drops the
// descriptor and says kLost; the caller starts over with ensure_channel().
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/gate/gate.h"
#include "libom/safe/rpc_encode.h"
#include "libom/safe/rpc_parse.h"

namespace om::gate {

constexpr long kLost = -5002;    // the connection is gone
constexpr long kKicked = -5003;  // a kick called the wait off

// Memory of the program that a Call reads, in the order of the wire.
struct InsPiece {
  uint64_t address;  // program or gate memory
  uint64_t bytes;
};
constexpr uint32_t kMaxInsPieces = 1024 + 40;
struct Ins {
  uint32_t count;
  uint64_t bytes;  // with each argument's padding
  InsPiece piece[kMaxInsPieces];
};

// A channel is there and its handshake is under way. 0, or kKicked (only when `window`).
// Context: gate
long ensure_channel(BodyThread* t, bool window);
void drop_channel(BodyThread* t);

// Sends one Call: due Finishes, head, payload. 0, kLost; -EFAULT or kRpcTooLarge: nothing has been executed at home.
// Context: gate
long send_call(BodyThread* t, const safe::ForwardParams& params, const Ins* ins);

// Makes at least `want` bytes of the receive buffer valid from recv_used on. 0, kLost or kKicked.
// Context: gate
long fill(BodyThread* t, size_t want, bool window);
inline uint8_t* recv_data(BodyThread* t) {
  return reinterpret_cast<uint8_t*>(slot_base(t) + kSlotRecv) + t->recv_used;
}
inline size_t recv_available(const BodyThread* t) { return t->recv_fill - t->recv_used; }
// Takes n bytes (some of which may not have been read yet) into `to`, or drops them when `to` is nullptr.
// 0, kLost, or -EFAULT (the bytes are consumed all the same).
// Context: gate
long take(BodyThread* t, void* to, size_t n);

// Question id of a sequence number (0 and 1 are the bootstrap and the handshake).
inline uint32_t question_of(uint64_t seq) { return static_cast<uint32_t>(seq & 0x3fffffff) + 2; }
constexpr uint32_t kQuestionBootstrap = 0, kQuestionResume = 1;

// A Return for `seq` has been processed: its Finish goes out with the next Call.
void note_finish(BodyThread* t, uint64_t seq);

}  // namespace om::gate

// SPDX-License-Identifier: Apache-2.0
//
// One body thread's connection to its executor: obtaining it from the keeper, the handshake after a loss, and the
// bytes of Calls. What calls mean is up to forward.cc; safe::Stream reads and writes.
//
// A lost connection is not an error for the caller: every function that finds it lost drops the
// descriptor and returns kLost; the caller starts over with ensure_channel().
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/gate/gate.h"
#include "libom/safe/rpc_encode.h"
#include "libom/safe/rpc_parse.h"
#include "libom/safe/stream.h"

namespace om::gate {

using safe::kLost;                        // the connection is gone
constexpr long kKicked = safe::kAborted;  // a kick cancelled the wait
// What fill() can be asked for on any channel.
constexpr size_t kMostReceived = kSlotRecvSize - safe::kMostSealed - safe::kRecordOverhead;

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

// Makes sure that there is a channel and that its handshake is under way. 0, or kKicked (only with `window`).
// Context: gate
long ensure_channel(BodyThread* t, bool window);
void drop_channel(BodyThread* t);
// A channel from the keeper, which `t` takes over if it has none. Ends the body if nothing here can open what is sealed
// with such keys. fd -1: there is none.
// Context: gate, restore
void file_channel(BodyThread* t, int32_t fd, const ChannelKeys& keys);

// Sends one Call: due Finishes, head, payload. 0, kLost; -EFAULT or kRpcTooLarge: nothing has been executed at home.
// Context: gate
long send_call(BodyThread* t, const safe::ForwardParams& params, const Ins* ins);

// Bytes received and not yet taken, at least as many as the last fill() was asked for.
struct Received {
  const uint8_t* data;
  size_t bytes;
};
// Context: gate
Received received(BodyThread* t);
// Receives until `want` bytes, at most kMostReceived, are there. 0, kLost or kKicked (only with `window`).
// Context: gate
long fill(BodyThread* t, size_t want, bool window);
// Takes n bytes (some of which may not have been read yet) into `to`, or drops them if `to` is nullptr.
// 0, kLost, or -EFAULT (the bytes are consumed all the same).
// Context: gate
long take(BodyThread* t, void* to, size_t n);

// Notes that the Return for `seq` has been processed: its Finish goes out with the next Call.
void note_finish(BodyThread* t, uint64_t seq);

}  // namespace om::gate

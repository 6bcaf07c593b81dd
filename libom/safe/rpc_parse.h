// SPDX-License-Identifier: Apache-2.0
//
// Reads the Cap'n Proto RPC messages of a channel, without libcapnp and from any peer: several
// segments, far pointers, structs of older and newer schemas, hostile bytes. Nothing outside the
// given bytes is read; the work per message is bounded whatever its size.
//
// A reader asks frame_length() how long the next message is. If it fits the reader's buffer it
// reads all of it and parses it; if not, it parses with what it has (512 bytes are enough for every
// message of rpc_encode.h) and streams the payload from the offset it is told. Used by the gate and
// the executor. Freestanding: no allocation, no state, no libc. Checked by
// test/unit/libom/rpc_codec_test.cc and test/fuzz/rpc_frame.cc.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/safe/rpc_encode.h"

namespace om::safe {

// In one message from a peer.
constexpr uint32_t kMaxSegments = 16;
// parse_message() needs no more than these first bytes of a message of rpc_encode.h.
constexpr size_t kParsePrefixBytes = 512;

// Message.which of rpc.capnp.
enum class RpcKind : uint16_t {
  kUnimplemented = 0,
  kAbort = 1,
  kCall = 2,
  kReturn = 3,
  kFinish = 4,
  kResolve = 5,
  kRelease = 6,
  kBootstrap = 8,
  kDisembargo = 13,
  kOther = 0xffff,  // RpcMessage::tag tells which
};

// Return.which of rpc.capnp.
enum class RpcAnswer : uint16_t {
  kResults = 0,
  kException = 1,
  kCanceled = 2,
  kSentElsewhere = 3,
  kTakeFromOther = 4,
  kThirdParty = 5,
  kOther = 0xffff,
};

// CapDescriptor.which of rpc.capnp, as far as a level 0 client can use it.
enum class RpcCap : uint8_t {
  kNone = 0,  // no capability, or one that cannot be called
  kSenderHosted = 1,
  kSenderPromise = 2,  // callable at once; a Resolve follows, to be answered unimplemented
};

// A run of bytes in a message, counted from the message's first byte (its segment table). Lies
// inside the message, wholly, partly or not at all inside the bytes that were given.
struct RpcBytes {
  size_t offset;
  size_t size;
};

struct RpcCallFields {
  RpcTarget target;
  bool to_caller;  // false: results are wanted elsewhere; level 0 answers with an exception
  bool forward;    // interface and method are Executor.forward: params and ins are set
  uint16_t method;
  uint32_t target_id;  // capability or question id
  uint64_t interface_id;
  ForwardParams params;  // unchecked values
  RpcBytes ins;
};

struct RpcReturnFields {
  RpcAnswer answer;
  RpcCap cap;              // the results are this capability (answer to a Bootstrap)
  int32_t error;           // 0 with results, else kRpcRemote
  uint32_t cap_id;         // valid for kSenderHosted and kSenderPromise
  ForwardResults results;  // unchecked, except: `signals` holds at least signal_count SignalRecords
  RpcBytes signals;
  RpcBytes outs;
};

// One parsed message. Fields of other kinds than `kind` are zero.
struct RpcMessage {
  RpcKind kind;
  uint16_t tag;       // `kind` as it is on the wire
  bool release_caps;  // Finish: releaseResultCaps; Return: releaseParamCaps
  uint32_t id;        // of the question, answer (Return), promise (Resolve), capability (Release)
  uint32_t count;     // Release: references given back
  RpcCallFields call;
  RpcReturnFields ret;
  RpcFault fault;   // Abort and Return with an exception
  RpcBytes reason;  // the same; text without its NUL, the peer's words: quote and escape
};

// Length in bytes of the message that starts at `bytes`, its segment table included (>= 8);
// kRpcAgain: the table is not there yet (68 bytes always suffice); kRpcBroken: more than
// kMaxSegments segments; kRpcTooLarge: above kMaxCallBytes.
// Context: any
long frame_length(const void* bytes, size_t available);

// Parses the message that starts at `bytes`, of which the first `available` bytes are there; more
// may follow. Returns its length as frame_length() does, or its errors, or kRpcBroken for a
// malformed message, or kRpcAgain when a struct or pointer it needs lies behind the available
// bytes. *out is then undefined. Payloads (ins, signals, outs, reason) are located and checked
// against the message's length, not read.
// Context: any
long parse_message(const void* bytes, size_t available, RpcMessage* out);

// The run of bytes itself, or nullptr when it is not wholly in the first `available` bytes.
// Context: any
inline const uint8_t* rpc_bytes(const void* message, size_t available, RpcBytes run) {
  if (run.offset > available || run.size > available - run.offset) return nullptr;
  return static_cast<const uint8_t*>(message) + run.offset;
}

}  // namespace om::safe

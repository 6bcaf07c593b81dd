// SPDX-License-Identifier: Apache-2.0
//
// Writes the Cap'n Proto RPC messages of a channel (interface Executor of
// common/schema/executor.capnp) without libcapnp: fixed templates plus field stores, one segment, the
// payload last. A payload is not copied: a caller sends what an encoder wrote, then the payload
// from where it lies, then padding() zero bytes, with one writev. Several messages may follow each
// other in one buffer.
//
// Used by the gate (Bootstrap, Call, Finish) and the executor (Return); rpc_parse.h reads.
// Freestanding: no allocation, no state, no libc. Every encoder returns the bytes written, or
// kRpcTooLarge when `room` is too small or the message would exceed kMaxCallBytes; a buffer needs
// no alignment. Golden bytes against libcapnp: test/unit/libom/rpc_codec_test.cc.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/wire.h"

namespace om::safe {

// The codec's results that are not byte counts: Linux -errno values.
constexpr long kRpcAgain = -11;     // EAGAIN: more bytes of the message are needed
constexpr long kRpcBroken = -71;    // EPROTO: malformed
constexpr long kRpcTooLarge = -90;  // EMSGSIZE
constexpr long kRpcRemote = -121;  // EREMOTEIO: the peer answered with something other than results

// Data section of forward's parameters, byte for byte as on the wire (x86-64 only: little endian).
struct ForwardParams {
  uint32_t nr;
  uint32_t flags;  // kCall*
  uint32_t epoch;
  uint32_t thread;
  uint64_t sequence;
  uint64_t ticket;
  uint64_t a[6];
};
static_assert(sizeof(ForwardParams) == 80, "ForwardParams is wire format");

// Data section of forward's results, byte for byte as on the wire.
struct ForwardResults {
  int64_t result;
  uint32_t flags;  // kRet*
  uint32_t signal_count;
  uint64_t sequence;
  uint64_t aux;
};
static_assert(sizeof(ForwardResults) == 32, "ForwardResults is wire format");

// Questions of a connection: the Bootstrap, the handshake after a loss, and one for each sequence number.
constexpr uint32_t kQuestionBootstrap = 0, kQuestionResume = 1;
// Context: any
constexpr uint32_t question_of(uint64_t sequence) {
  return static_cast<uint32_t>(sequence & 0x3fffffff) + 2;
}

// What a Call is addressed to: the Bootstrap's question until its Return is there.
enum class RpcTarget : uint8_t {
  kImportedCap = 0,
  kPromisedAnswer = 1,
  kOther = 2,  // only parsed: an unknown kind, or a capability inside an answer
};

// Exception.type of rpc.capnp.
enum class RpcFault : uint16_t {
  kFailed = 0,
  kOverloaded = 1,
  kDisconnected = 2,
  kUnimplemented = 3
};

struct RpcCallHead {
  uint32_t question;   // free again once its Return was seen and its Finish sent
  uint32_t target_id;  // capability id or question id
  RpcTarget target;    // not kOther
  ForwardParams params;
};

// Bytes of each message up to its payload.
constexpr size_t kBootstrapBytes = 48;
constexpr size_t kFinishBytes = 40;
constexpr size_t kCallBytes = 200;     // to an imported capability
constexpr size_t kCallMaxBytes = 216;  // to a promised answer
constexpr size_t kReturnBytes = 120;   // without signals
constexpr size_t kBootstrapReturnBytes = 96;
constexpr size_t kExceptionBytes = 80;      // without the reason
constexpr size_t kUnimplementedBytes = 48;  // enough for any message

// Zero bytes that follow a payload of n bytes: 0..7.
// Context: any
constexpr size_t padding(size_t n) { return (8 - (n & 7)) & 7; }

// Asks for the peer's Executor.
// Context: any
long encode_bootstrap(void* to, size_t room, uint32_t question);

// `ins_bytes` bytes of payload and padding(ins_bytes) zeros must follow.
// Context: any
long encode_call(void* to, size_t room, const RpcCallHead& head, size_t ins_bytes);

// Releases the answer of a question. `release_caps` false keeps the capabilities that its results
// held: false for the Bootstrap, of no importance for forward, whose results hold none.
// Context: any
long encode_finish(void* to, size_t room, uint32_t question, bool release_caps = false);

// The signals are copied into the buffer; `outs_bytes` bytes of payload and padding(outs_bytes)
// zeros must follow. `results.signal_count` is the caller's: `signal_bytes` / sizeof(SignalRecord).
// Capabilities in the Call's parameters are released.
// Context: any
long encode_return(void* to, size_t room, uint32_t question, const ForwardResults& results,
                   const void* signals, size_t signal_bytes, size_t outs_bytes);

// The answer to Bootstrap: capability 0, hosted here.
// Context: any
long encode_bootstrap_return(void* to, size_t room, uint32_t question);

// The answer to a Call that cannot be a forwarded one (unknown method, unknown target). `reason` is
// text of `reason_bytes` bytes without a NUL.
// Context: any
long encode_return_exception(void* to, size_t room, uint32_t question, RpcFault fault,
                             const char* reason, size_t reason_bytes);

// The answer to a message of a kind that level 0 does not know: `message` echoed. `tag` is the
// kind's number (RpcMessage::tag). A message of several segments, one that is not whole in `bytes`
// or one that does not fit into `room` is echoed as its kind alone.
// Context: any
long encode_unimplemented(void* to, size_t room, const void* message, size_t bytes, uint16_t tag);

}  // namespace om::safe

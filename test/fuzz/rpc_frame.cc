// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: bytes from a peer through the channel codec (libom/safe/rpc_parse.h), whole and as a prefix. In addition
// to what the sanitizers catch, it checks that every run of bytes found lies inside its message, that a prefix never
// gives another result than the whole, that the echo of a message is a message, and that a parsed Call or Return
// encodes to bytes that parse to the same.
#include <string.h>

#include <memory>
#include <vector>

#include "libom/safe/rpc_encode.h"
#include "libom/safe/rpc_parse.h"
#include "test/fuzz/fuzz.h"

namespace {

using namespace om::safe;
using om::fuzz::require;

void check_run(const uint8_t* message, size_t available, long length, RpcBytes run) {
  require(run.offset <= static_cast<size_t>(length));
  require(run.size <= static_cast<size_t>(length) - run.offset);
  const uint8_t* at = rpc_bytes(message, available, run);
  require((at != nullptr) == (run.offset + run.size <= available));
  volatile uint8_t sum = 0;  // so that a sanitizer sees the bytes being read
  for (size_t i = 0; at != nullptr && i < run.size; i++) sum = static_cast<uint8_t>(sum + at[i]);
}

void check_again(const RpcMessage& m) {
  uint8_t buffer[kCallMaxBytes + kReturnBytes];
  RpcMessage again;
  if (m.kind == RpcKind::kCall && m.call.forward && m.call.target != RpcTarget::kOther) {
    const RpcCallHead head{m.id, m.call.target_id, m.call.target, m.call.params};
    const long bytes = encode_call(buffer, sizeof buffer, head, m.call.ins.size);
    if (bytes < 0) return;  // near kMaxCallBytes
    require(parse_message(buffer, static_cast<size_t>(bytes), &again) > 0);
    require(again.id == m.id && again.call.target_id == m.call.target_id);
    require(again.call.ins.size == m.call.ins.size);
    require(memcmp(&again.call.params, &m.call.params, sizeof(ForwardParams)) == 0);
  }
  if (m.kind == RpcKind::kReturn && m.ret.error == 0 && m.ret.results.signal_count == 0) {
    const long bytes =
        encode_return(buffer, sizeof buffer, m.id, m.ret.results, nullptr, 0, m.ret.outs.size);
    if (bytes < 0) return;
    require(parse_message(buffer, static_cast<size_t>(bytes), &again) > 0);
    require(again.ret.outs.size == m.ret.outs.size);
    require(memcmp(&again.ret.results, &m.ret.results, sizeof(ForwardResults)) == 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  RpcMessage whole, part;
  const long frame = frame_length(data, size);
  const long length = parse_message(data, size, &whole);
  require(frame != 0 && length != 0 && (length < 0 || length == frame));
  if (length > 0) {
    for (RpcBytes run : {whole.call.ins, whole.ret.signals, whole.ret.outs, whole.reason}) {
      check_run(data, size, length, run);
    }
    check_again(whole);
    std::vector<uint8_t> echo(kUnimplementedBytes + size % 4096);
    const long bytes = encode_unimplemented(echo.data(), echo.size(), data, size, whole.tag);
    require(bytes >= static_cast<long>(kUnimplementedBytes) - 24);
    require(parse_message(echo.data(), echo.size(), &part) == bytes);
    require(part.kind == RpcKind::kUnimplemented);
  }

  // A prefix in memory of its own, so that a read beyond it is detected.
  const size_t cut = size > kParsePrefixBytes ? kParsePrefixBytes : size / 2;
  const std::unique_ptr<uint8_t[]> prefix(new uint8_t[cut]);
  if (cut > 0) memcpy(prefix.get(), data, cut);
  const long prefix_length = parse_message(prefix.get(), cut, &part);
  if (prefix_length > 0) {
    require(prefix_length == length && part.kind == whole.kind && part.id == whole.id);
  }
  if (prefix_length < 0 && prefix_length != kRpcAgain) require(length < 0);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
//
// The templates behind rpc_encode.h. Word numbers in comments count from the segment's first word,
// the root pointer; the buffer has the segment table (one word) before it. The order of the objects
// is the order in which libcapnp would allocate them, so a message can be compared byte for byte.
// Context: any.
#include "libom/safe/rpc_encode.h"

#include "libom/safe/mem.h"

namespace om::safe {
namespace {

// One word; may lie at any address and alias any object.
struct [[gnu::packed, gnu::may_alias]] Word {
  Word(uint64_t v) : value(v) {}
  operator uint64_t() const { return value; }
  uint64_t value;
};

// Message.which of rpc.capnp.
constexpr uint64_t kTagUnimplemented = 0;
constexpr uint64_t kTagCall = 2;
constexpr uint64_t kTagReturn = 3;
constexpr uint64_t kTagFinish = 4;
constexpr uint64_t kTagBootstrap = 8;

constexpr uint64_t kReturnResults = 0;
constexpr uint64_t kReturnException = 1;

constexpr uint64_t kCapabilityPointer = 3;
constexpr uint64_t kSenderHosted = 1;

// `offset` counts words from the one after the pointer.
constexpr uint64_t struct_pointer(uint64_t offset, uint64_t data_words, uint64_t pointers) {
  return offset << 2 | data_words << 32 | pointers << 48;
}

// An empty list is a null pointer.
constexpr uint64_t bytes_pointer(uint64_t offset, uint64_t bytes) {
  return bytes == 0 ? 0 : (offset << 2 | 1 | uint64_t{2} << 32 | bytes << 35);
}

constexpr size_t words_of(size_t bytes) { return bytes / 8 + (bytes % 8 != 0); }

// Whether a message can be made of `head` bytes in the buffer and `payload` bytes after them.
bool fits(size_t room, size_t head, size_t payload) {
  return head <= room && head <= kMaxCallBytes && payload <= kMaxCallBytes - head;
}

// Segment table, root pointer and Message: all words up to number 2. `bytes` includes the table.
void put_message(Word* w, size_t bytes, uint64_t tag, uint64_t body_data, uint64_t body_pointers) {
  w[0] = static_cast<uint64_t>(bytes / 8 - 1) << 32;
  w[1] = struct_pointer(0, 1, 1);
  w[2] = tag;
  w[3] = struct_pointer(0, body_data, body_pointers);
}

// Words 3 to 5: a Return whose pointer is still to be written (word 5). releaseParamCaps is stored
// inverted and stays true.
void put_return(Word* w, size_t bytes, uint32_t question, uint64_t which) {
  put_message(w, bytes, kTagReturn, 2, 1);
  w[4] = question | which << 48;
  w[5] = 0;
}

template <size_t kWords>
void put_words(Word* to, const void* from) {
  const Word* f = static_cast<const Word*>(from);
  for (size_t i = 0; i < kWords; i++) to[i] = f[i];
}

// Copies `bytes` bytes and zeroes the rest of the last word.
void put_bytes(Word* to, const void* from, size_t bytes) {
  if (bytes == 0) return;
  to[words_of(bytes) - 1] = 0;
  copy_bytes(to, from, bytes);
}

}  // namespace

long encode_bootstrap(void* to, size_t room, uint32_t question) {
  if (room < kBootstrapBytes) return kRpcTooLarge;
  Word* w = static_cast<Word*>(to);
  put_message(w, kBootstrapBytes, kTagBootstrap, 1, 1);
  w[4] = question;
  w[5] = 0;
  return kBootstrapBytes;
}

long encode_call(void* to, size_t room, const RpcCallHead& head, size_t ins_bytes) {
  const bool promised = head.target == RpcTarget::kPromisedAnswer;
  const size_t head_bytes = promised ? kCallMaxBytes : kCallBytes;
  if (!fits(room, head_bytes, ins_bytes)) return kRpcTooLarge;
  Word* w = static_cast<Word*>(to);
  put_message(w, head_bytes + words_of(ins_bytes) * 8, kTagCall, 3, 3);
  w[4] = head.question | static_cast<uint64_t>(kMethodForward) << 32;
  w[5] = kExecutorInterface;
  w[6] = 0;
  w[7] = struct_pointer(2, 1, 1);                 // 6: target, at 9
  w[8] = struct_pointer(promised ? 5 : 3, 0, 2);  // 7: params, at 11 or 13
  w[9] = 0;
  if (promised) {
    w[10] = static_cast<uint64_t>(RpcTarget::kPromisedAnswer) << 32;
    w[11] = struct_pointer(0, 1, 1);
    w[12] = head.target_id;
    w[13] = 0;
    w += 2;
  } else {
    w[10] = head.target_id;
    w[11] = 0;
  }
  w[12] = struct_pointer(1, sizeof(ForwardParams) / 8, 1);  // 11 or 13: content
  w[13] = 0;                                                // no capability table
  put_words<sizeof(ForwardParams) / 8>(w + 14, &head.params);
  w[24] = bytes_pointer(0, ins_bytes);
  return static_cast<long>(head_bytes);
}

long encode_finish(void* to, size_t room, uint32_t question, bool release_caps) {
  if (room < kFinishBytes) return kRpcTooLarge;
  Word* w = static_cast<Word*>(to);
  put_message(w, kFinishBytes, kTagFinish, 1, 0);
  const uint64_t stored = !release_caps;  // its default is true: stored inverted
  w[4] = question | stored << 32;
  return kFinishBytes;
}

long encode_return(void* to, size_t room, uint32_t question, const ForwardResults& results,
                   const void* signals, size_t signal_bytes, size_t outs_bytes) {
  if (signal_bytes > kMaxCallBytes) return kRpcTooLarge;
  const size_t signal_words = words_of(signal_bytes);
  const size_t head_bytes = kReturnBytes + signal_words * 8;
  if (!fits(room, head_bytes, outs_bytes)) return kRpcTooLarge;
  Word* w = static_cast<Word*>(to);
  put_return(w, head_bytes + words_of(outs_bytes) * 8, question, kReturnResults);
  w[6] = struct_pointer(0, 0, 2);                           // 5: Payload, at 6
  w[7] = struct_pointer(1, sizeof(ForwardResults) / 8, 2);  // 6: content, at 8
  w[8] = 0;
  put_words<sizeof(ForwardResults) / 8>(w + 9, &results);
  w[13] = bytes_pointer(1, signal_bytes);           // 12: signals, at 14
  w[14] = bytes_pointer(signal_words, outs_bytes);  // 13: outs, after the signals
  put_bytes(w + 15, signals, signal_bytes);
  return static_cast<long>(head_bytes);
}

long encode_bootstrap_return(void* to, size_t room, uint32_t question) {
  if (room < kBootstrapReturnBytes) return kRpcTooLarge;
  Word* w = static_cast<Word*>(to);
  put_return(w, kBootstrapReturnBytes, question, kReturnResults);
  w[6] = struct_pointer(0, 0, 2);
  w[7] = kCapabilityPointer;                         // entry 0 of the capability table
  w[8] = 1 | uint64_t{7} << 32 | uint64_t{2} << 35;  // 7: list of structs, two words in all, at 8
  w[9] = struct_pointer(1, 1, 1);                    // its tag: one CapDescriptor
  w[10] = kSenderHosted;                             // id 0; attachedFd is stored inverted: none
  w[11] = 0;
  return kBootstrapReturnBytes;
}

long encode_return_exception(void* to, size_t room, uint32_t question, RpcFault fault,
                             const char* reason, size_t reason_bytes) {
  if (reason_bytes > kMaxCallBytes) return kRpcTooLarge;
  const size_t text_words = words_of(reason_bytes + 1);
  const size_t bytes = kExceptionBytes + text_words * 8;
  if (!fits(room, bytes, 0)) return kRpcTooLarge;
  Word* w = static_cast<Word*>(to);
  put_return(w, bytes, question, kReturnException);
  w[6] = struct_pointer(0, 1, 2);
  w[7] = static_cast<uint64_t>(fault) << 32;
  w[8] = bytes_pointer(1, reason_bytes + 1);  // 7: the reason, at 9, with its NUL
  w[9] = 0;
  w[10 + text_words - 1] = 0;
  put_bytes(w + 10, reason, reason_bytes);
  return static_cast<long>(bytes);
}

long encode_unimplemented(void* to, size_t room, const void* message, size_t bytes, uint16_t tag) {
  if (room < kUnimplementedBytes) return kRpcTooLarge;
  Word* w = static_cast<Word*>(to);
  const Word* from = static_cast<const Word*>(message);
  uint64_t table = 1;  // several segments
  if (bytes >= 16) table = from[0];
  const uint64_t words = table >> 32;
  if (static_cast<uint32_t>(table) == 0 && words > 0 && words <= bytes / 8 - 1 &&
      (from[1] & 3) == 0 && words * 8 + 24 <= room && words * 8 + 24 <= kMaxCallBytes) {
    // The segment starts with a relative pointer to its Message, which stays valid where our message
    // has its pointer. (Far pointers are absolute and would be off by two words; in a single segment
    // nobody writes them.)
    put_message(w, words * 8 + 24, kTagUnimplemented, 0, 0);
    copy_bytes(w + 3, from + 1, words * 8);
    return static_cast<long>(words * 8 + 24);
  }
  put_message(w, kUnimplementedBytes, kTagUnimplemented, 1, 1);
  w[4] = tag;
  w[5] = 0;
  return kUnimplementedBytes;
}

}  // namespace om::safe

// SPDX-License-Identifier: Apache-2.0
//
// The bounded walk behind rpc_parse.h. The path through a message is fixed (Message, Call, Payload,
// params, Data), so depth is bounded by the code; a far pointer is resolved in at most one hop.
// Every word is read by Reader::load (or by fill, after the same checks). The first failure sticks;
// a failed read gives zero, which is a null pointer and a default value everywhere, so the walk
// needs no error paths. Context: any.
#include "libom/safe/rpc_parse.h"

namespace om::safe {
namespace {

// An integer; may lie at any address and alias any object.
template <typename T>
struct [[gnu::packed, gnu::may_alias]] Loose {
  Loose(T v) : value(v) {}
  operator T() const { return value; }
  T value;
};
using Word = Loose<uint64_t>;
using Half = Loose<uint32_t>;

constexpr uint64_t kStruct = 0;
constexpr uint64_t kList = 1;
constexpr uint64_t kFar = 2;
constexpr uint64_t kCapability = 3;

constexpr uint64_t kElementByte = 2;
constexpr uint64_t kElementComposite = 7;

// A pointer after one hop over far pointers: `target` is a word number in segment `segment`. Kind
// and target are checked by the code that knows what the object should be; a second far pointer is
// no valid kind.
struct Pointer {
  uint64_t word;
  int64_t target;
  uint32_t segment;
};

// A struct whose words lie inside its segment; all zero for a null pointer.
struct Object {
  uint32_t segment;
  uint32_t data;      // words
  uint32_t pointers;  // words
  uint64_t at;        // word number in the segment
};

uint32_t low(uint64_t word) { return static_cast<uint32_t>(word); }

uint32_t high(uint64_t word) { return static_cast<uint32_t>(word >> 32); }

// Signed offset of a struct or list pointer, in words.
int64_t offset_of(uint64_t word) { return static_cast<int32_t>(low(word)) >> 2; }

class Reader {
 public:
  // Reads the segment table. Returns the message's length or an error.
  long open(const void* bytes, size_t available);

  // Word number `index` of a segment, 0 on failure.
  uint64_t load(uint32_t segment, uint64_t index);

  Pointer follow(uint32_t segment, uint64_t index);
  Pointer pointer(const Object& object, uint32_t slot);
  Object as_struct(const Pointer& pointer);
  RpcBytes as_bytes(const Pointer& pointer);
  // A list of structs: its first element and their number (0 for null).
  Object as_structs(const Pointer& pointer, uint32_t* count);

  uint64_t data(const Object& object, uint32_t index) {
    return index < object.data ? load(object.segment, object.at + index) : 0;
  }
  Object child(const Object& object, uint32_t slot) { return as_struct(pointer(object, slot)); }

  // Fills words of a POD from the data section; what the sender's schema did not have is zero.
  template <typename T>
  void fill(const Object& object, T* to) {
    Word* w = reinterpret_cast<Word*>(to);
    const uint64_t from = start_[object.segment] + object.at;
    if (object.data >= sizeof(T) / 8 && from + sizeof(T) / 8 <= available_words_) {
      const Word* f = reinterpret_cast<const Word*>(bytes_) + from;
      for (uint32_t i = 0; i < sizeof(T) / 8; i++) w[i] = f[i];
      return;
    }
    for (uint32_t i = 0; i < sizeof(T) / 8; i++) w[i] = data(object, i);
  }

  void fail(long error) {
    if (error_ == 0) error_ = error;
  }
  long error() const { return error_; }

 private:
  // A target before the segment is a huge number.
  bool inside(uint32_t segment, int64_t target, uint64_t words) const {
    const uint64_t at = static_cast<uint64_t>(target);
    return at <= words_[segment] && words <= words_[segment] - at;
  }

  const uint8_t* bytes_;
  size_t available_words_;
  long error_;
  uint32_t segments_;
  uint64_t start_[kMaxSegments];  // word number in the message
  uint64_t words_[kMaxSegments];
};

long Reader::open(const void* bytes, size_t available) {
  const Half* table = static_cast<const Half*>(bytes);
  if (available < 4) return kRpcAgain;
  if (table[0] >= kMaxSegments) return kRpcBroken;
  segments_ = table[0] + 1;
  const uint64_t table_words = (segments_ + 2) / 2;
  if (available < 4 + segments_ * size_t{4}) return kRpcAgain;
  uint64_t total = table_words;  // 16 segments of 32 bits: no overflow
  for (uint32_t i = 0; i < segments_; i++) {
    start_[i] = total;
    words_[i] = table[1 + i];
    total += words_[i];
  }
  if (total > kMaxCallBytes / 8) return kRpcTooLarge;
  bytes_ = static_cast<const uint8_t*>(bytes);
  available_words_ = available / 8;
  error_ = 0;
  return static_cast<long>(total * 8);
}

uint64_t Reader::load(uint32_t segment, uint64_t index) {
  if (segment >= segments_ || index >= words_[segment]) {
    fail(kRpcBroken);
    return 0;
  }
  const uint64_t word = start_[segment] + index;
  if (word >= available_words_) {
    fail(kRpcAgain);
    return 0;
  }
  return *reinterpret_cast<const Word*>(bytes_ + word * 8);
}

Pointer Reader::follow(uint32_t segment, uint64_t index) {
  Pointer p{load(segment, index), 0, segment};
  if ((p.word & 3) != kFar) {
    p.target = static_cast<int64_t>(index) + 1 + offset_of(p.word);
    return p;
  }
  const uint32_t pad_segment = high(p.word);
  const uint64_t pad = low(p.word) >> 3;
  if ((p.word & 4) == 0) {
    p = Pointer{load(pad_segment, pad), 0, pad_segment};
    p.target = static_cast<int64_t>(pad) + 1 + offset_of(p.word);
  } else {
    // Two landing words: a far pointer to the object itself, and the pointer that describes it.
    const uint64_t far = load(pad_segment, pad);
    p = Pointer{load(pad_segment, pad + 1), low(far) >> 3, high(far)};
    if ((far & 7) != kFar) fail(kRpcBroken);
  }
  if (p.segment >= segments_) fail(kRpcBroken);
  if (error_ != 0) return Pointer{0, 0, 0};
  return p;
}

Pointer Reader::pointer(const Object& object, uint32_t slot) {
  if (slot >= object.pointers) return Pointer{0, 0, 0};
  return follow(object.segment, object.at + object.data + slot);
}

Object Reader::as_struct(const Pointer& pointer) {
  if (pointer.word == 0) return Object{0, 0, 0, 0};
  const uint32_t data = high(pointer.word) & 0xffff;
  const uint32_t pointers = high(pointer.word) >> 16;
  if ((pointer.word & 3) != kStruct ||
      !inside(pointer.segment, pointer.target, uint64_t{data} + pointers)) {
    fail(kRpcBroken);
    return Object{0, 0, 0, 0};
  }
  return Object{pointer.segment, data, pointers, static_cast<uint64_t>(pointer.target)};
}

RpcBytes Reader::as_bytes(const Pointer& pointer) {
  if (pointer.word == 0) return RpcBytes{0, 0};
  const uint64_t size = high(pointer.word) >> 3;
  if ((pointer.word & 3) != kList || (high(pointer.word) & 7) != kElementByte ||
      !inside(pointer.segment, pointer.target, (size + 7) / 8)) {
    fail(kRpcBroken);
    return RpcBytes{0, 0};
  }
  return RpcBytes{(start_[pointer.segment] + static_cast<uint64_t>(pointer.target)) * 8, size};
}

Object Reader::as_structs(const Pointer& pointer, uint32_t* count) {
  *count = 0;
  if (pointer.word == 0) return Object{0, 0, 0, 0};
  const uint64_t words = high(pointer.word) >> 3;  // after the tag
  if ((pointer.word & 3) != kList || (high(pointer.word) & 7) != kElementComposite ||
      !inside(pointer.segment, pointer.target, words + 1)) {
    fail(kRpcBroken);
    return Object{0, 0, 0, 0};
  }
  const uint64_t at = static_cast<uint64_t>(pointer.target);
  const uint64_t tag = load(pointer.segment, at);
  const Object first{pointer.segment, high(tag) & 0xffff, high(tag) >> 16, at + 1};
  const uint64_t elements = low(tag) >> 2;
  if ((tag & 3) != kStruct || elements * (uint64_t{first.data} + first.pointers) > words) {
    fail(kRpcBroken);
    return Object{0, 0, 0, 0};
  }
  *count = static_cast<uint32_t>(elements);
  return first;
}

// The last byte of a text is its NUL.
void parse_exception(Reader& reader, const Object& exception, RpcMessage* out) {
  out->fault = static_cast<RpcFault>(high(reader.data(exception, 0)) & 0xffff);
  out->reason = reader.as_bytes(reader.pointer(exception, 0));
  if (out->reason.size > 0) out->reason.size--;
}

void parse_call(Reader& reader, const Object& call, RpcMessage* out) {
  RpcCallFields& c = out->call;
  const uint64_t head = reader.data(call, 0);
  out->id = low(head);
  c.method = static_cast<uint16_t>(high(head));
  c.to_caller = high(head) >> 16 == 0;
  c.interface_id = reader.data(call, 1);

  const Object target = reader.child(call, 0);
  const uint64_t target_data = reader.data(target, 0);
  const uint32_t which = high(target_data) & 0xffff;
  if (which == 0) {
    c.target = RpcTarget::kImportedCap;
    c.target_id = low(target_data);
  } else if (which == 1) {
    const Object promised = reader.child(target, 0);
    uint32_t operations = 0;
    reader.as_structs(reader.pointer(promised, 0), &operations);
    c.target = operations == 0 ? RpcTarget::kPromisedAnswer : RpcTarget::kOther;
    c.target_id = low(reader.data(promised, 0));
  } else {
    c.target = RpcTarget::kOther;
  }

  c.forward = c.interface_id == kExecutorInterface && c.method == kMethodForward;
  if (!c.forward) return;
  const Object params = reader.child(reader.child(call, 1), 0);
  reader.fill(params, &c.params);
  c.ins = reader.as_bytes(reader.pointer(params, 0));
}

// The answer to a Bootstrap: an index into the capability table.
void parse_cap(Reader& reader, const Object& payload, uint64_t pointer, RpcReturnFields* out) {
  if (low(pointer) != kCapability) return reader.fail(kRpcBroken);
  uint32_t count = 0;
  Object descriptor = reader.as_structs(reader.pointer(payload, 1), &count);
  const uint32_t index = high(pointer);
  if (index >= count) return;  // a capability that cannot be called: kNone
  descriptor.at += uint64_t{index} * (descriptor.data + descriptor.pointers);
  const uint64_t data = reader.data(descriptor, 0);
  const uint32_t which = low(data) & 0xffff;
  if (which != 1 && which != 2) return;
  out->cap = which == 1 ? RpcCap::kSenderHosted : RpcCap::kSenderPromise;
  out->cap_id = high(data);
}

void parse_return(Reader& reader, const Object& answer, RpcMessage* out) {
  RpcReturnFields& r = out->ret;
  const uint64_t head = reader.data(answer, 0);
  const uint32_t which = high(head) >> 16;
  out->id = low(head);
  out->release_caps = (high(head) & 1) == 0;
  r.answer = which <= 5 ? static_cast<RpcAnswer>(which) : RpcAnswer::kOther;
  r.error = which == 0 ? 0 : static_cast<int32_t>(kRpcRemote);
  if (which == 1) parse_exception(reader, reader.child(answer, 0), out);
  if (which != 0) return;

  const Object payload = reader.child(answer, 0);
  const Pointer content = reader.pointer(payload, 0);
  if ((content.word & 3) == kCapability) return parse_cap(reader, payload, content.word, &r);
  const Object results = reader.as_struct(content);
  reader.fill(results, &r.results);
  r.signals = reader.as_bytes(reader.pointer(results, 0));
  r.outs = reader.as_bytes(reader.pointer(results, 1));
  if (r.results.signal_count > r.signals.size / sizeof(SignalRecord)) reader.fail(kRpcBroken);
}

// Clears it part by part: the compiler would clear all of it at once with a slow REP STOS.
void clear(RpcMessage* out) {
  out->kind = RpcKind::kOther;
  out->tag = 0;
  out->release_caps = false;
  out->id = 0;
  out->count = 0;
  out->call = RpcCallFields{};
  out->ret = RpcReturnFields{};
  out->fault = RpcFault::kFailed;
  out->reason = RpcBytes{0, 0};
}

// The kinds whose first word is all that is needed.
void parse_ids(Reader& reader, const Object& body, RpcMessage* out) {
  const uint64_t head = reader.data(body, 0);
  out->id = low(head);
  if (out->kind == RpcKind::kFinish) out->release_caps = (high(head) & 1) == 0;
  if (out->kind == RpcKind::kRelease) out->count = high(head);
}

}  // namespace

long frame_length(const void* bytes, size_t available) {
  Reader reader;
  return reader.open(bytes, available);
}

long parse_message(const void* bytes, size_t available, RpcMessage* out) {
  Reader reader;
  const long length = reader.open(bytes, available);
  if (length < 0) return length;
  clear(out);

  const Object message = reader.as_struct(reader.follow(0, 0));
  out->tag = static_cast<uint16_t>(reader.data(message, 0));
  out->kind = static_cast<RpcKind>(out->tag);
  const Pointer body = reader.pointer(message, 0);  // what it points to depends on the kind
  switch (out->kind) {
    case RpcKind::kCall:
      parse_call(reader, reader.as_struct(body), out);
      break;
    case RpcKind::kReturn:
      parse_return(reader, reader.as_struct(body), out);
      break;
    case RpcKind::kAbort:
      parse_exception(reader, reader.as_struct(body), out);
      break;
    case RpcKind::kFinish:
    case RpcKind::kRelease:
    case RpcKind::kBootstrap:
    case RpcKind::kResolve:
      parse_ids(reader, reader.as_struct(body), out);
      break;
    case RpcKind::kUnimplemented:
    case RpcKind::kDisembargo:
      break;
    case RpcKind::kOther:
    default:
      out->kind = RpcKind::kOther;
      break;
  }
  return reader.error() != 0 ? reader.error() : length;
}

}  // namespace om::safe

// SPDX-License-Identifier: Apache-2.0
#include "common/tls/record.h"

#include <errno.h>

#include <utility>

namespace om {
namespace {

Error bad_record(const char* what) { return Error{EBADMSG, what}; }

}  // namespace

Result<RecordSealer> RecordSealer::make(Cipher cipher, AeadKey key, uint64_t first) {
  return RecordSealer(OM_TRY(Aead::make(cipher, key, Aead::Use::kSeal)), first);
}

Result<size_t> RecordSealer::seal(std::span<const uint8_t> contents, std::span<uint8_t> out) {
  const size_t length = contents.size();
  if (failed_) return plain_error("record layer: failed before");
  if (next_ >= kMaxRecords) return plain_error("record layer: the key is used up");
  if (length > kMaxRecordContents || out.size() < length + kRecordOverhead)
    return plain_error("record layer: a record too long for its place");
  const auto header = out.first<kRecordHeaderBytes>();
  for (size_t i = 0; i < header.size(); ++i) header[i] = static_cast<uint8_t>(length >> (8 * i));
  // The nonce counts as used, whatever becomes of it.
  failed_ = !aead_.seal(counter_nonce(next_++), header, contents, out.data() + kRecordHeaderBytes,
                        out.subspan(kRecordHeaderBytes + length).first<kAeadTagBytes>());
  if (failed_) return plain_error("record layer: OpenSSL refuses");
  return length + kRecordOverhead;
}

Result<RecordOpener> RecordOpener::make(Cipher cipher, AeadKey key, uint64_t first) {
  return RecordOpener(OM_TRY(Aead::make(cipher, key, Aead::Use::kOpen)), first);
}

Result<size_t> RecordOpener::record_size(std::span<const uint8_t, kRecordHeaderBytes> header) {
  uint32_t length = 0;
  for (size_t i = 0; i < header.size(); ++i) length |= uint32_t{header[i]} << (8 * i);
  if (length > kMaxRecordContents) return bad_record("a record is too long");
  return length + kRecordOverhead;
}

Result<size_t> RecordOpener::open(std::span<const uint8_t> record, std::span<uint8_t> out) {
  if (failed_) return bad_record("a record after a wrong one");
  auto size = try_open(record, out);
  failed_ = !size;
  return size;
}

Result<size_t> RecordOpener::try_open(std::span<const uint8_t> record, std::span<uint8_t> out) {
  if (next_ >= kMaxRecords) return bad_record("the key of the records is used up");
  if (record.size() < kRecordOverhead) return bad_record("a record is cut off");
  const auto header = record.first<kRecordHeaderBytes>();
  if (OM_TRY(record_size(header)) != record.size())
    return bad_record("a record has another length than it says");
  const auto contents = record.subspan(kRecordHeaderBytes, record.size() - kRecordOverhead);
  if (out.size() < contents.size()) return bad_record("a record is too long for its place");
  if (!aead_.open(counter_nonce(next_), header, contents, out.data(), record.last<kAeadTagBytes>()))
    return bad_record("a record was changed, repeated or put in another place");
  ++next_;
  return contents.size();
}

}  // namespace om

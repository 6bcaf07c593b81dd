// SPDX-License-Identifier: Apache-2.0
//
// The record layer of a session's connections: what is between two nodes and not in TLS.
//
//   4 bytes  length of the contents, little endian, 0 to 64 KiB; authenticated, not encrypted
//   contents encrypted
//   16 bytes tag
//
// The nonce of a record is never sent: 4 zero bytes and the number of the record in its direction, 8 bytes, little
// endian, from 0 on. So a record that is missing, repeated or in another place does not open. Each direction of each
// connection has a key of its own (session_keys.h) and uses it for no more than kMaxRecords. A record without contents
// says that nothing more follows, which makes an end that was cut off visible; the caller sends it.
#pragma once

#include <stdint.h>

#include <span>

#include "common/base/result.h"
#include "common/tls/aead.h"

namespace om {

constexpr size_t kMaxRecordContents = 64 << 10;
constexpr size_t kRecordHeaderBytes = 4;
constexpr size_t kRecordOverhead = kRecordHeaderBytes + kAeadTagBytes;
constexpr size_t kMaxRecordBytes = kMaxRecordContents + kRecordOverhead;
// Of one key. At a million a second it lasts nine years.
constexpr uint64_t kMaxRecords = uint64_t{1} << 48;

class RecordSealer {
 public:
  // `first`: number of the first record, for tests.
  static Result<RecordSealer> make(Cipher cipher, AeadKey key, uint64_t first = 0);

  // Makes a record of `contents` (at most kMaxRecordContents) in `out`, which has room for kRecordOverhead more bytes.
  // The contents may already be in `out`, kRecordHeaderBytes from its start; otherwise the two do not overlap. Returns
  // the size of the record. Errors: sizes, kMaxRecords, OpenSSL; after the last all further records are refused.
  Result<size_t> seal(std::span<const uint8_t> contents, std::span<uint8_t> out);

  uint64_t next() const { return next_; }

 private:
  RecordSealer(Aead aead, uint64_t first) : aead_(std::move(aead)), next_(first) {}

  Aead aead_;
  uint64_t next_;
  bool failed_ = false;
};

class RecordOpener {
 public:
  static Result<RecordOpener> make(Cipher cipher, AeadKey key, uint64_t first = 0);

  // Size of the whole record that begins with `header`, to know how much to read. Not authenticated yet. Errors: too
  // long.
  static Result<size_t> record_size(std::span<const uint8_t, kRecordHeaderBytes> header);

  // Opens one whole record. `out` has room for its contents and is `record` from kRecordHeaderBytes on, or does not
  // overlap with it. Returns the size of the contents. EBADMSG for anything but the record that comes next; then `out`
  // has no bytes of it, and all further records are refused.
  Result<size_t> open(std::span<const uint8_t> record, std::span<uint8_t> out);

  uint64_t next() const { return next_; }

 private:
  RecordOpener(Aead aead, uint64_t first) : aead_(std::move(aead)), next_(first) {}
  Result<size_t> try_open(std::span<const uint8_t> record, std::span<uint8_t> out);

  Aead aead_;
  uint64_t next_;
  bool failed_ = false;
};

}  // namespace om

// SPDX-License-Identifier: Apache-2.0
//
// common/tls/aead.h with published vectors, common/tls/record.h with records that are not the next one.
#include "common/tls/record.h"

#include <doctest/doctest.h>
#include <errno.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/hex.h"

namespace om {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes bytes(std::string_view hex) {
  const std::string text = from_hex(hex, hex.size() / 2).value();
  return {text.begin(), text.end()};
}
std::string hex(std::span<const uint8_t> data) {
  return to_hex({reinterpret_cast<const char*>(data.data()), data.size()});
}

const Cipher kCiphers[] = {Cipher::kAes256Gcm, Cipher::kChaCha20Poly1305};

Bytes key_of(uint8_t first = 0) {
  Bytes key(kAeadKeyBytes);
  for (uint8_t& byte : key) byte = first++;
  return key;
}
RecordSealer sealer(Cipher cipher, uint64_t first = 0) {
  return RecordSealer::make(cipher, AeadKey(key_of()), first).value();
}
RecordOpener opener(Cipher cipher, uint64_t first = 0) {
  return RecordOpener::make(cipher, AeadKey(key_of()), first).value();
}
Bytes seal(RecordSealer& sealer, std::string_view text) {
  Bytes out(text.size() + kRecordOverhead);
  const auto* data = reinterpret_cast<const uint8_t*>(text.data());
  REQUIRE(sealer.seal({data, text.size()}, out).value() == out.size());
  return out;
}
// The contents, or "refused".
std::string open(RecordOpener& opener, const Bytes& record) {
  Bytes out(record.size() + 1, 0xee);
  const auto size = opener.open(record, out);
  if (size) return {out.begin(), out.begin() + static_cast<ptrdiff_t>(*size)};
  CHECK(size.error().err == EBADMSG);
  return "refused";
}

struct Vector {
  Cipher cipher;
  const char *key, *nonce, *associated, *plain, *sealed, *tag;
};

// 13, 14, 16: "The Galois/Counter Mode of Operation (GCM)", McGrew and Viega, appendix B. The last one: RFC 8439,
// 2.8.2.
const Vector kVectors[] = {
    {Cipher::kAes256Gcm, "0000000000000000000000000000000000000000000000000000000000000000",
     "000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {Cipher::kAes256Gcm, "0000000000000000000000000000000000000000000000000000000000000000",
     "000000000000000000000000", "", "00000000000000000000000000000000",
     "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
    {Cipher::kAes256Gcm, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
     "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
    {Cipher::kChaCha20Poly1305, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
     "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
     "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
     "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
     "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
     "637265656e20776f756c642062652069742e",
     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
     "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
     "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
     "3ff4def08e4b7a9de576d26586cec64b6116",
     "1ae10b594f09e26a7e902ecbd0600691"},
};

TEST_CASE("published vectors") {
  for (const Vector& vector : kVectors) {
    CAPTURE(vector.tag);
    const Bytes key = bytes(vector.key), nonce = bytes(vector.nonce);
    const Bytes associated = bytes(vector.associated), plain = bytes(vector.plain);
    Aead sealing = Aead::make(vector.cipher, AeadKey(key), Aead::Use::kSeal).value();
    Aead opening = Aead::make(vector.cipher, AeadKey(key), Aead::Use::kOpen).value();
    // Twice: nothing of the first time is left.
    for (int i = 0; i < 2; ++i) {
      Bytes out(plain.size()), back(plain.size());
      std::array<uint8_t, kAeadTagBytes> tag{};
      REQUIRE(sealing.seal(AeadNonce(nonce), associated, plain, out.data(), tag));
      CHECK(hex(out) == vector.sealed);
      CHECK(hex(tag) == vector.tag);
      REQUIRE(opening.open(AeadNonce(nonce), associated, out, back.data(), tag));
      CHECK(back == plain);
      tag[15] ^= 1;
      CHECK_FALSE(opening.open(AeadNonce(nonce), associated, out, back.data(), tag));
      CHECK(back == Bytes(plain.size()));
    }
  }
  CHECK_FALSE(Aead::make(static_cast<Cipher>(3), AeadKey(key_of()), Aead::Use::kSeal).ok());
}

TEST_CASE("the format of a record") {
  // python3 -c "import struct; from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
  //   for c in AESGCM, ChaCha20Poly1305: print((struct.pack('<I', 6) + c(bytes(range(32))).encrypt(
  //     struct.pack('<IQ', 0, 258), b'record', struct.pack('<I', 6))).hex())"
  const char* expected[] = {"060000003c65e627f0bd9ef2c3fe96eca98cc6873cae6bcef744",
                            "060000006fd09b5263ee1fba9f45afcd2dfc7f349ce90b778040"};
  for (size_t i = 0; i < 2; ++i) {
    RecordSealer one = sealer(kCiphers[i], 258);
    CHECK(hex(seal(one, "record")) == expected[i]);
  }
}

TEST_CASE("records open in their order") {
  for (Cipher cipher : kCiphers) {
    RecordSealer one = sealer(cipher);
    RecordOpener other = opener(cipher);
    for (size_t size : {size_t{0}, size_t{1}, size_t{15}, size_t{16}, size_t{17}, size_t{1000},
                        kMaxRecordContents - 1, kMaxRecordContents, size_t{0}}) {
      const std::string text(size, 't');
      const Bytes record = seal(one, text);
      const std::span<const uint8_t> all = record;
      CHECK(RecordOpener::record_size(all.first<kRecordHeaderBytes>()).value() == record.size());
      CHECK(open(other, record) == text);
    }
    CHECK(one.next() == 9);
    CHECK(other.next() == 9);
  }
}

TEST_CASE("in place") {
  for (Cipher cipher : kCiphers) {
    RecordSealer one = sealer(cipher);
    RecordOpener other = opener(cipher);
    Bytes buffer(kRecordOverhead + 100, 'p');
    const std::span<uint8_t> inside = std::span(buffer).subspan(kRecordHeaderBytes, 100);
    REQUIRE(one.seal(inside, buffer).ok());
    CHECK(inside[0] != 'p');
    REQUIRE(other.open(buffer, inside).value() == 100);
    CHECK(std::count(inside.begin(), inside.end(), 'p') == 100);
  }
}

TEST_CASE("every flipped bit is refused, and everything after it") {
  for (Cipher cipher : kCiphers) {
    RecordSealer one = sealer(cipher);
    const Bytes first = seal(one, "contents"), second = seal(one, "more");
    for (size_t bit = 0; bit < first.size() * 8; ++bit) {
      RecordOpener other = opener(cipher);
      Bytes wrong = first;
      wrong[bit / 8] = static_cast<uint8_t>(wrong[bit / 8] ^ 1 << bit % 8);
      CHECK(open(other, wrong) == "refused");
      CHECK(open(other, first) == "refused");
      CHECK(open(other, second) == "refused");
      CHECK(other.next() == 0);
    }
  }
}

TEST_CASE("cut off, repeated, left out, exchanged, of another key") {
  for (Cipher cipher : kCiphers) {
    RecordSealer one = sealer(cipher);
    const Bytes first = seal(one, "contents"), second = seal(one, "contents");
    CHECK(first != second);
    for (size_t size = 0; size < first.size(); ++size) {
      RecordOpener other = opener(cipher);
      CHECK(open(other, Bytes(first.begin(), first.begin() + static_cast<ptrdiff_t>(size))) ==
            "refused");
    }
    Bytes longer = first;
    longer.push_back(0);
    for (const Bytes& wrong : {second, longer}) {
      RecordOpener other = opener(cipher);
      CHECK(open(other, wrong) == "refused");
    }
    RecordOpener other = opener(cipher);
    CHECK(open(other, first) == "contents");
    CHECK(open(other, first) == "refused");
    RecordOpener strange = RecordOpener::make(cipher, AeadKey(key_of(1))).value();
    CHECK(open(strange, first) == "refused");
    RecordOpener another = opener(cipher == kCiphers[0] ? kCiphers[1] : kCiphers[0]);
    CHECK(open(another, first) == "refused");
  }
}

TEST_CASE("sizes, and a key that is used up") {
  for (Cipher cipher : kCiphers) {
    RecordSealer one = sealer(cipher);
    Bytes large(kMaxRecordBytes + 1), out(kMaxRecordBytes + 1);
    CHECK_FALSE(one.seal({large.data(), kMaxRecordContents + 1}, out).ok());
    CHECK_FALSE(one.seal({large.data(), 100}, {out.data(), 100 + kRecordOverhead - 1}).ok());
    CHECK(one.next() == 0);
    const uint8_t header[] = {1, 0, 1, 0};
    CHECK_FALSE(RecordOpener::record_size(header).ok());
    // A place too small for the contents.
    const Bytes record = seal(one, "contents");
    RecordOpener narrow = opener(cipher);
    CHECK_FALSE(narrow.open(record, {out.data(), 7}).ok());
    RecordSealer last = sealer(cipher, kMaxRecords - 1);
    RecordOpener reader = opener(cipher, kMaxRecords - 1);
    const Bytes good = seal(last, "last");
    CHECK(open(reader, good) == "last");
    CHECK_FALSE(last.seal({}, out).ok());
    CHECK(open(reader, good) == "refused");
  }
}

}  // namespace
}  // namespace om

// SPDX-License-Identifier: Apache-2.0
//
// safe/seal.h, compiled as in libom.so, against published key streams and against the hosted record layer
// (common/tls/record.h), whose tests have the published tags.
#include "libom/safe/seal.h"

#include <doctest/doctest.h>
#include <errno.h>
#include <string.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/base/hex.h"
#include "common/tls/record.h"

namespace {

using namespace om;
using Bytes = std::vector<uint8_t>;

constexpr size_t kHeader = safe::kRecordHeader, kOverhead = safe::kRecordOverhead;
static_assert(kHeader == kRecordHeaderBytes && kOverhead == om::kRecordOverhead);
static_assert(safe::kMostSealed <= kMaxRecordContents && safe::kMaxSealed == kMaxRecords);

struct Suite {
  uint32_t cipher;
  Cipher hosted;
};
const Suite kSuites[] = {{kChannelAes256Gcm, Cipher::kAes256Gcm},
                         {kChannelChaCha20Poly1305, Cipher::kChaCha20Poly1305}};

// One end, whose keys are the other end's the other way round.
std::unique_ptr<safe::Seal> end_of(uint32_t cipher, const Bytes& send, const Bytes& receive) {
  auto seal = std::make_unique<safe::Seal>();
  seal->offered.cipher = cipher;
  memcpy(seal->offered.send, send.data(), sizeof seal->offered.send);
  memcpy(seal->offered.receive, receive.data(), sizeof seal->offered.receive);
  REQUIRE(safe::expand_keys(*seal) == 0);
  return seal;
}

Bytes key_of(uint8_t first) {
  Bytes key(32);
  for (uint8_t& byte : key) byte = first++;
  return key;
}

Bytes sealed(safe::Seal& seal, const Bytes& contents) {
  Bytes record(contents.size() + kOverhead, 0xee);
  std::copy(contents.begin(), contents.end(), record.begin() + kHeader);
  REQUIRE(safe::seal_record(seal, record.data(), contents.size()) == 0);
  return record;
}

struct Opened {
  long result;
  Bytes contents;
};
Opened open(safe::Seal& seal, Bytes record) {
  const size_t n = record.size() - kOverhead;
  const long r = safe::open_record(seal, record.data(), n);
  return {r, {record.begin() + kHeader, record.begin() + static_cast<ptrdiff_t>(kHeader + n)}};
}

std::string hex(const Bytes& bytes, size_t from, size_t n) {
  return to_hex({reinterpret_cast<const char*>(bytes.data()) + from, n});
}

bool has(uint32_t cipher) {
  if (safe::can_seal(cipher)) return true;
  MESSAGE("skipped: this CPU has not got what cipher " << cipher << " needs");
  return false;
}

}  // namespace

TEST_CASE("unknown ciphers are refused, and no keys are left") {
  for (const uint32_t cipher : {0u, 3u, 0xffffffffu}) {
    CHECK_FALSE(safe::can_seal(cipher));
    safe::Seal seal{};
    seal.offered.cipher = cipher;
    memset(seal.offered.send, 1, sizeof seal.offered.send);
    memset(seal.offered.receive, 2, sizeof seal.offered.receive);
    CHECK(safe::expand_keys(seal) == -ENOTSUP);
    CHECK(Bytes(seal.offered.send, seal.offered.receive + 32) == Bytes(64));
  }
  CHECK(safe::can_seal(kChannelChaCha20Poly1305));
}

// Test case 14 of "The Galois/Counter Mode of Operation (GCM)", McGrew and Viega, appendix B; RFC 8439, A.1, test
// vector 2. Both have a key and a nonce of zeros, as record 0 has.
TEST_CASE("contents are encrypted with the published key streams") {
  const Bytes zeros(32);
  if (has(kChannelAes256Gcm)) {
    const Bytes record = sealed(*end_of(kChannelAes256Gcm, zeros, zeros), Bytes(16));
    CHECK(hex(record, kHeader, 16) == "cea7403d4d606b6e074ec5d3baf39d18");
  }
  const Bytes record = sealed(*end_of(kChannelChaCha20Poly1305, zeros, zeros), Bytes(64));
  CHECK(hex(record, kHeader, 64) ==
        "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
        "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f");
}

TEST_CASE("records are those of the hosted record layer, in both directions, for every length") {
  std::mt19937_64 random(4711);
  for (const Suite& suite : kSuites) {
    if (!has(suite.cipher)) continue;
    const Bytes send = key_of(1), receive = key_of(101);
    const auto ours = end_of(suite.cipher, send, receive);
    auto sealer = RecordSealer::make(suite.hosted, AeadKey(receive)).value();
    auto opener = RecordOpener::make(suite.hosted, AeadKey(send)).value();
    constexpr int kMessages = 20000;
    for (int i = 0; i < kMessages; i++) {
      // All short lengths in turn, then any.
      const auto turn = static_cast<size_t>(i);
      const size_t n =
          i < 600 ? turn : (i % 16 != 0 ? random() % 300 : random() % (safe::kMostSealed + 1));
      Bytes message(n);
      for (uint8_t& byte : message) byte = static_cast<uint8_t>(random());

      Bytes theirs(n + kOverhead), got(n);
      REQUIRE(opener.open(sealed(*ours, message), got).value() == n);
      REQUIRE(got == message);
      REQUIRE(sealer.seal(message, theirs).value() == theirs.size());
      const Opened opened = open(*ours, theirs);
      REQUIRE(opened.result == 0);
      REQUIRE(opened.contents == message);
    }
    CHECK(ours->sent == kMessages);
    CHECK(ours->received == kMessages);
  }
}

TEST_CASE("numbers beyond 32 bits are in the nonce as in the hosted record layer, up to the last") {
  for (const Suite& suite : kSuites) {
    if (!has(suite.cipher)) continue;
    const Bytes key = key_of(7), message(100, 'm');
    for (const uint64_t number :
         {(uint64_t{1} << 32) - 1, uint64_t{0x123456789abc}, safe::kMaxSealed - 1}) {
      const auto ours = end_of(suite.cipher, key, key);
      ours->sent = ours->received = number;
      const Bytes record = sealed(*ours, message);
      Bytes theirs(record.size());
      REQUIRE(RecordSealer::make(suite.hosted, AeadKey(key), number)
                  .value()
                  .seal(message, theirs)
                  .ok());
      CHECK(record == theirs);
      CHECK(open(*ours, theirs).result == 0);
    }
    const auto used_up = end_of(suite.cipher, key, key);
    used_up->sent = used_up->received = safe::kMaxSealed;
    Bytes record(message.size() + kOverhead);
    CHECK(safe::seal_record(*used_up, record.data(), message.size()) == -EINVAL);
    CHECK(safe::open_record(*used_up, record.data(), message.size()) == -EBADMSG);
  }
}

TEST_CASE("a record with any bit changed does not open, and nothing of it is left") {
  for (const Suite& suite : kSuites) {
    if (!has(suite.cipher)) continue;
    const Bytes key = key_of(1), message(33, 'm');
    const auto from = end_of(suite.cipher, key, key), to = end_of(suite.cipher, key, key);
    const Bytes record = sealed(*from, message);
    for (size_t bit = 0; bit < 8 * record.size(); bit++) {
      Bytes changed = record;
      changed[bit / 8] = static_cast<uint8_t>(changed[bit / 8] ^ (1u << bit % 8));
      const Opened opened = open(*to, changed);
      REQUIRE(opened.result == -EBADMSG);
      REQUIRE(opened.contents == Bytes(message.size()));
    }
    CHECK(to->received == 0);
    CHECK(open(*to, record).contents == message);
  }
}

TEST_CASE("only the next record opens, with the right key and cipher") {
  for (const Suite& suite : kSuites) {
    if (!has(suite.cipher)) continue;
    const Bytes key = key_of(1), other = key_of(2);
    const auto from = end_of(suite.cipher, key, other), to = end_of(suite.cipher, other, key);
    const Bytes first = sealed(*from, Bytes(5, 'a')), second = sealed(*from, Bytes(5, 'b'));
    CHECK(open(*to, second).result == -EBADMSG);
    CHECK(open(*to, first).contents == Bytes(5, 'a'));
    CHECK(open(*to, first).result == -EBADMSG);
    CHECK(open(*to, second).contents == Bytes(5, 'b'));
    // What one end has sent does not come back to it.
    CHECK(open(*from, first).result == -EBADMSG);
    for (const Suite& foreign : kSuites) {
      if (foreign.cipher == suite.cipher || !safe::can_seal(foreign.cipher)) continue;
      CHECK(open(*end_of(foreign.cipher, other, key), first).result == -EBADMSG);
    }
  }
}

TEST_CASE("lengths that no record of libom's has") {
  const Bytes key = key_of(1);
  const auto seal = end_of(kChannelChaCha20Poly1305, key, key);
  Bytes record(kMaxRecordBytes + 1);
  CHECK(safe::seal_record(*seal, record.data(), safe::kMostSealed) == 0);
  CHECK(safe::seal_record(*seal, record.data(), safe::kMostSealed + 1) == -EINVAL);
  CHECK(safe::open_record(*seal, record.data(), safe::kMostSealed + 1) == -EBADMSG);
  CHECK(seal->sent == 1);
}

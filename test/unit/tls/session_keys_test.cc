// SPDX-License-Identifier: Apache-2.0
//
// common/tls/session_keys.h: fixed vectors, and that no two connections share a key.
#include "common/tls/session_keys.h"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "common/base/hex.h"

namespace om {
namespace {

// The vectors come from Python:
//
//   import hashlib, hmac, struct
//   def hkdf(secret, info):
//       prk = hmac.new(bytes(32), secret, hashlib.sha256).digest()
//       return hmac.new(prk, info + b'\x01', hashlib.sha256).digest()
//   def record(kind, member, slot, epoch, direction, attempt):
//       return hkdf(bytes(range(32)), b'openmosix record' + struct.pack('<5IQ', kind, member, slot, epoch, direction,
//                   attempt) + bytes(range(100, 116))).hex()
//   tag_key = hkdf(bytes(range(32)), b'openmosix preamble')
//   hmac.new(tag_key, b'fields of a preamble', 'sha256').digest()[:16].hex()

SessionKeys keys_of(uint8_t first = 0) {
  std::array<uint8_t, kSessionSecretBytes> secret;
  for (uint8_t& byte : secret) byte = first++;
  return SessionKeys::make(secret).value();
}

ConnectionName name(uint32_t kind, uint32_t slot, uint32_t epoch, uint64_t attempt) {
  ConnectionName name{.kind = kind, .slot = slot, .epoch = epoch, .attempt = attempt};
  uint8_t next = 100;
  for (uint8_t& byte : name.nonce) byte = next++;
  return name;
}

template <class Bytes>
std::string hex(const Bytes& bytes) {
  return to_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::span<const uint8_t> fields(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

TEST_CASE("fixed vectors") {
  const SessionKeys keys = keys_of();
  CHECK(hex(keys.record_key(name(1, 0, 0, 1), Direction::kFromDialler).value()) ==
        "511611cdcbbbd411d95439732c67e4363bb025ab3a4e1aa33874e4ea4eb40ce1");
  CHECK(hex(keys.record_key(name(1, 0, 0, 1), Direction::kFromListener).value()) ==
        "86bf57c7d3ad277e5f8b84e0c366589da6b5747e130133030b5fdc5dd2c58360");
  CHECK(hex(keys.record_key(name(3, 7, 2, 0x1122334455667788), Direction::kFromDialler).value()) ==
        "94d672c118a30ff21c8d98a1d23b9f1dfc8beb188dcb64306265b01c8eea537f");
  CHECK(hex(keys.preamble_tag(fields("fields of a preamble"))) ==
        "d21f396c282282767804395f502fc088");
}

TEST_CASE("each connection and direction has its own key") {
  const ConnectionName base = name(3, 1, 1, 1);
  std::vector<ConnectionName> all(7, base);
  all[1].kind = 2;
  all[2].member = 1;
  all[3].slot = 2;
  all[4].epoch = 2;
  all[5].attempt = 2;
  all[6].nonce[15] ^= 1;
  std::set<std::string> found;
  for (uint8_t secret : {0, 1}) {
    const SessionKeys keys = keys_of(secret);
    for (const ConnectionName& connection : all) {
      for (Direction direction : {Direction::kFromDialler, Direction::kFromListener})
        found.insert(hex(keys.record_key(connection, direction).value()));
    }
  }
  CHECK(found.size() == 2 * 2 * all.size());
}

TEST_CASE("a preamble proves the secret") {
  const SessionKeys keys = keys_of();
  const PreambleTag tag = keys.preamble_tag(fields("a preamble"));
  CHECK(keys.preamble_proves(fields("a preamble"), tag));
  CHECK_FALSE(keys.preamble_proves(fields("a preamblf"), tag));
  CHECK_FALSE(keys.preamble_proves(fields("a preambl"), tag));
  CHECK_FALSE(keys_of(1).preamble_proves(fields("a preamble"), tag));
  CHECK_FALSE(keys.preamble_proves(fields("a preamble"), PreambleTag{}));
  PreambleTag wrong = tag;
  wrong[0] ^= 1;
  CHECK_FALSE(keys.preamble_proves(fields("a preamble"), wrong));
}

}  // namespace
}  // namespace om

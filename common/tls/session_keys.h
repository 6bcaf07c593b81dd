// SPDX-License-Identifier: Apache-2.0
//
// From the secret of a session (32 bytes, made by the deputy, never sent on the connections that it protects) to the
// keys of each connection: HKDF-SHA256 (RFC 5869) with an empty salt. The purpose is its info:
//
//   "openmosix record" and kind, member, slot, epoch, direction (4 bytes each), attempt (8 bytes), nonce (16 bytes)
//   "openmosix preamble"
//
// Numbers are little endian. No two connections of a session have the same key: the attempt number rises with each, and
// if a process that forgot it should repeat one, the dialler's random nonce differs.
#pragma once

#include <stdint.h>

#include <array>
#include <span>

#include "common/base/result.h"
#include "common/tls/hkdf.h"

namespace om {

constexpr size_t kSessionSecretBytes = 32;
constexpr size_t kPreambleNonceBytes = 16;
constexpr size_t kPreambleTagBytes = 16;

using SessionSecret = std::span<const uint8_t, kSessionSecretBytes>;
using PreambleTag = std::array<uint8_t, kPreambleTagBytes>;

enum class Direction : uint32_t {
  kFromDialler = 0,
  kFromListener = 1,
};

// One connection; what of it is in its preamble, too.
struct ConnectionName {
  uint32_t kind = 0;
  uint32_t member = 0;
  uint32_t slot = 0;
  uint32_t epoch = 0;
  uint64_t attempt = 0;
  std::array<uint8_t, kPreambleNonceBytes> nonce{};
};

class SessionKeys {
 public:
  // Errors: OpenSSL has no memory.
  static Result<SessionKeys> make(SessionSecret secret);
  SessionKeys(const SessionKeys&) = default;
  SessionKeys& operator=(const SessionKeys&) = default;
  ~SessionKeys();

  // For the records of one direction of a connection.
  Result<DerivedKey> record_key(const ConnectionName& connection, Direction direction) const;

  // Proof that the sender of a preamble has the secret: the first 16 bytes of an HMAC-SHA256 over all its bytes but the
  // tag's.
  PreambleTag preamble_tag(std::span<const uint8_t> fields) const;
  // Constant time.
  bool preamble_proves(std::span<const uint8_t> fields, const PreambleTag& tag) const;

 private:
  SessionKeys() = default;

  std::array<uint8_t, kSessionSecretBytes> secret_{};
  DerivedKey preamble_key_{};
};

}  // namespace om

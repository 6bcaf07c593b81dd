// SPDX-License-Identifier: Apache-2.0
//
// Ciphers by their numbers, for those who name one without using it: offers, preambles, the keys of a channel
// (ChannelCipher of libom/abi/sockets.h has the same numbers).
#pragma once

#include <stdint.h>

#include <optional>

#include "common/base/result.h"

namespace om {

// Values as sent; 0 is none.
enum class Cipher : uint8_t {
  kAes256Gcm = 1,
  kChaCha20Poly1305 = 2,
};

// How the connections of a session are sealed. nullopt: not at all.
using SessionCipher = std::optional<Cipher>;

constexpr uint32_t kMaxCipherNumber = 2;

constexpr uint32_t cipher_number(SessionCipher cipher) {
  return cipher ? static_cast<uint32_t>(*cipher) : 0;
}
// Errors: an unknown number.
inline Result<SessionCipher> read_cipher(uint64_t number) {
  if (number > kMaxCipherNumber) return plain_error("an unknown cipher");
  if (number == 0) return SessionCipher();
  return SessionCipher(static_cast<Cipher>(number));
}

}  // namespace om

// SPDX-License-Identifier: Apache-2.0
//
// Authenticated encryption by OpenSSL, with one key in one direction: what record.h is made of. Nonces are the
// caller's, who never uses one twice.
#pragma once

#include <openssl/evp.h>
#include <stdint.h>

#include <array>
#include <memory>
#include <span>

#include "common/base/result.h"
#include "common/tls/cipher.h"
#include "common/tls/openssl.h"

namespace om {

constexpr size_t kAeadKeyBytes = 32;
constexpr size_t kAeadNonceBytes = 12;
constexpr size_t kAeadTagBytes = 16;

using AeadKey = std::span<const uint8_t, kAeadKeyBytes>;
using AeadNonce = std::span<const uint8_t, kAeadNonceBytes>;

// The nonce of a message that is known by its number: 4 zero bytes and the number, little endian.
std::array<uint8_t, kAeadNonceBytes> counter_nonce(uint64_t number);

class Aead {
 public:
  enum class Use { kSeal, kOpen };

  // Errors: no such cipher, no memory.
  static Result<Aead> make(Cipher cipher, AeadKey key, Use use);

  // Encrypts `in` to `out`, which is as long and the same or apart; `associated` is authenticated as well. For kSeal.
  // False: OpenSSL refuses, nothing of `out` may be used.
  bool seal(AeadNonce nonce, std::span<const uint8_t> associated, std::span<const uint8_t> in,
            uint8_t* out, std::span<uint8_t, kAeadTagBytes> tag);
  // The reverse, for kOpen. False: any of it was changed; `out` is then all zeros.
  bool open(AeadNonce nonce, std::span<const uint8_t> associated, std::span<const uint8_t> in,
            uint8_t* out, std::span<const uint8_t, kAeadTagBytes> tag);

 private:
  Aead() = default;
  bool crypt(AeadNonce nonce, std::span<const uint8_t> associated, std::span<const uint8_t> in,
             uint8_t* out);

  std::unique_ptr<EVP_CIPHER_CTX, OpensslFree<EVP_CIPHER_CTX_free>> context_;
};

}  // namespace om

// SPDX-License-Identifier: Apache-2.0
#include "common/tls/aead.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

#include <algorithm>

namespace om {
namespace {

const EVP_CIPHER* cipher_of(Cipher cipher) {
  switch (cipher) {
    case Cipher::kAes256Gcm:
      return ::EVP_aes_256_gcm();
    case Cipher::kChaCha20Poly1305:
      return ::EVP_chacha20_poly1305();
  }
  return nullptr;
}

// `text`: none is no call, for OpenSSL takes an empty one for the end.
bool update(EVP_CIPHER_CTX* context, uint8_t* out, std::span<const uint8_t> text) {
  int size = 0;
  return text.empty() || (::EVP_CipherUpdate(context, out, &size, text.data(),
                                             static_cast<int>(text.size())) == 1 &&
                          (out == nullptr || static_cast<size_t>(size) == text.size()));
}

}  // namespace

std::array<uint8_t, kAeadNonceBytes> counter_nonce(uint64_t number) {
  constexpr size_t kCounterAt = 4;
  std::array<uint8_t, kAeadNonceBytes> nonce{};
  for (size_t i = 0; i < sizeof number; ++i)
    nonce[kCounterAt + i] = static_cast<uint8_t>(number >> (8 * i));
  return nonce;
}

Result<Aead> Aead::make(Cipher cipher, AeadKey key, Use use) {
  const EVP_CIPHER* kind = cipher_of(cipher);
  if (kind == nullptr) return plain_error("there is no such cipher");
  Aead aead;
  aead.context_.reset(::EVP_CIPHER_CTX_new());
  if (aead.context_ == nullptr ||
      ::EVP_CipherInit_ex(aead.context_.get(), kind, nullptr, key.data(), nullptr,
                          use == Use::kSeal ? 1 : 0) != 1)
    return openssl_error("set up a cipher");
  return aead;
}

bool Aead::crypt(AeadNonce nonce, std::span<const uint8_t> associated, std::span<const uint8_t> in,
                 uint8_t* out) {
  // -1: key and direction stay.
  return ::EVP_CipherInit_ex(context_.get(), nullptr, nullptr, nullptr, nonce.data(), -1) == 1 &&
         update(context_.get(), nullptr, associated) && update(context_.get(), out, in);
}

bool Aead::seal(AeadNonce nonce, std::span<const uint8_t> associated, std::span<const uint8_t> in,
                uint8_t* out, std::span<uint8_t, kAeadTagBytes> tag) {
  int rest = 0;
  const bool done =
      crypt(nonce, associated, in, out) &&
      ::EVP_CipherFinal_ex(context_.get(), tag.data(), &rest) == 1 && rest == 0 &&
      ::EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kAeadTagBytes, tag.data()) == 1;
  if (!done) ::ERR_clear_error();
  return done;
}

bool Aead::open(AeadNonce nonce, std::span<const uint8_t> associated, std::span<const uint8_t> in,
                uint8_t* out, std::span<const uint8_t, kAeadTagBytes> tag) {
  std::array<uint8_t, kAeadTagBytes> expected;
  std::copy(tag.begin(), tag.end(), expected.begin());
  int rest = 0;
  const bool done = crypt(nonce, associated, in, out) &&
                    ::EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, kAeadTagBytes,
                                          expected.data()) == 1 &&
                    ::EVP_CipherFinal_ex(context_.get(), expected.data(), &rest) == 1;
  if (done) return true;
  ::ERR_clear_error();
  if (!in.empty()) ::OPENSSL_cleanse(out, in.size());
  return false;
}

}  // namespace om

// SPDX-License-Identifier: Apache-2.0
#include "common/tls/session_keys.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "common/tls/openssl.h"

namespace om {
namespace {

constexpr std::string_view kRecordPurpose = "openmosix record";
constexpr std::string_view kPreamblePurpose = "openmosix preamble";

using KdfPtr = std::unique_ptr<EVP_KDF, OpensslFree<EVP_KDF_free>>;
using KdfContextPtr = std::unique_ptr<EVP_KDF_CTX, OpensslFree<EVP_KDF_CTX_free>>;

template <class T>
void put(std::string& out, T value) {
  for (size_t i = 0; i < sizeof value; ++i) out += static_cast<char>(value >> (8 * i));
}

Result<DerivedKey> derive(SessionSecret secret, std::string info) {
  const KdfPtr kdf(::EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  const KdfContextPtr context(::EVP_KDF_CTX_new(kdf.get()));
  char digest[] = "SHA256";
  OSSL_PARAM parameters[] = {
      ::OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      ::OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<uint8_t*>(secret.data()),
                                          secret.size()),
      ::OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), info.size()),
      ::OSSL_PARAM_construct_end()};
  DerivedKey key{};
  if (context == nullptr ||
      ::EVP_KDF_derive(context.get(), key.data(), key.size(), parameters) != 1)
    return openssl_error("derive a key");
  return key;
}

}  // namespace

Result<SessionKeys> SessionKeys::make(SessionSecret secret) {
  SessionKeys keys;
  std::copy(secret.begin(), secret.end(), keys.secret_.begin());
  keys.preamble_key_ = OM_TRY(derive(secret, std::string(kPreamblePurpose)));
  return keys;
}

SessionKeys::~SessionKeys() {
  ::OPENSSL_cleanse(secret_.data(), secret_.size());
  ::OPENSSL_cleanse(preamble_key_.data(), preamble_key_.size());
}

Result<DerivedKey> SessionKeys::record_key(const ConnectionName& connection,
                                           Direction direction) const {
  std::string info(kRecordPurpose);
  put(info, connection.kind);
  put(info, connection.member);
  put(info, connection.slot);
  put(info, connection.epoch);
  put(info, static_cast<uint32_t>(direction));
  put(info, connection.attempt);
  info.append(reinterpret_cast<const char*>(connection.nonce.data()), connection.nonce.size());
  return derive(secret_, std::move(info));
}

PreambleTag SessionKeys::preamble_tag(std::span<const uint8_t> fields) const {
  const std::string mac =
      hmac_sha256({reinterpret_cast<const char*>(preamble_key_.data()), preamble_key_.size()},
                  {reinterpret_cast<const char*>(fields.data()), fields.size()});
  PreambleTag tag{};
  // Without a result the tag stays zero, which preamble_proves() refuses.
  if (mac.size() >= tag.size()) ::memcpy(tag.data(), mac.data(), tag.size());
  return tag;
}

bool SessionKeys::preamble_proves(std::span<const uint8_t> fields, const PreambleTag& tag) const {
  const PreambleTag right = preamble_tag(fields);
  return right != PreambleTag{} && ::CRYPTO_memcmp(right.data(), tag.data(), tag.size()) == 0;
}

}  // namespace om

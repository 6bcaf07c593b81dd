// SPDX-License-Identifier: Apache-2.0
#include "common/tls/hkdf.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <memory>
#include <string>

#include "common/tls/openssl.h"

namespace om {
namespace {

using KdfPtr = std::unique_ptr<EVP_KDF, OpensslFree<EVP_KDF_free>>;
using KdfContextPtr = std::unique_ptr<EVP_KDF_CTX, OpensslFree<EVP_KDF_CTX_free>>;

}  // namespace

Result<DerivedKey> hkdf_sha256(std::span<const uint8_t> secret, std::string_view info) {
  const KdfPtr kdf(::EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  const KdfContextPtr context(::EVP_KDF_CTX_new(kdf.get()));
  char digest[] = "SHA256";
  std::string purpose(info);
  OSSL_PARAM parameters[] = {
      ::OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      ::OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<uint8_t*>(secret.data()),
                                          secret.size()),
      ::OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, purpose.data(), purpose.size()),
      ::OSSL_PARAM_construct_end()};
  DerivedKey key{};
  if (context == nullptr ||
      ::EVP_KDF_derive(context.get(), key.data(), key.size(), parameters) != 1)
    return openssl_error("derive a key");
  return key;
}

}  // namespace om

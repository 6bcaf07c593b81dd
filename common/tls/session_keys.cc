// SPDX-License-Identifier: Apache-2.0
#include "common/tls/session_keys.h"

#include <openssl/crypto.h>
#include <string.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/tls/openssl.h"

namespace om {
namespace {

constexpr std::string_view kRecordPurpose = "openmosix record";
constexpr std::string_view kPreamblePurpose = "openmosix preamble";

}  // namespace

Result<SessionKeys> SessionKeys::make(SessionSecret secret) {
  SessionKeys keys;
  std::copy(secret.begin(), secret.end(), keys.secret_.begin());
  keys.preamble_key_ = OM_TRY(hkdf_sha256(secret, kPreamblePurpose));
  return keys;
}

SessionKeys::~SessionKeys() {
  ::OPENSSL_cleanse(secret_.data(), secret_.size());
  ::OPENSSL_cleanse(preamble_key_.data(), preamble_key_.size());
}

Result<DerivedKey> SessionKeys::record_key(const ConnectionName& connection,
                                           Direction direction) const {
  std::string info(kRecordPurpose);
  put_number(info, connection.kind);
  put_number(info, connection.member);
  put_number(info, connection.slot);
  put_number(info, connection.epoch);
  put_number(info, static_cast<uint32_t>(direction));
  put_number(info, connection.attempt);
  info.append(reinterpret_cast<const char*>(connection.nonce.data()), connection.nonce.size());
  return hkdf_sha256(secret_, info);
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

// SPDX-License-Identifier: Apache-2.0
#include "migrator/identity/token_seal.h"

#include <errno.h>

#include <algorithm>
#include <array>
#include <span>

#include "common/tls/aead.h"

namespace om::migrator {
namespace {

using Nonce = std::array<uint8_t, kAeadNonceBytes>;
using Tag = std::array<uint8_t, kAeadTagBytes>;

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

Error forged() { return Error{EBADMSG, "a token that no signer of this cluster has sealed"}; }

}  // namespace

Result<TokenSeal> TokenSeal::make(const ClusterCa& ca) {
  return TokenSeal(OM_TRY(ca.derive("openmosix shared tokens 1")));
}

Result<std::string> TokenSeal::seal(const std::string& id, const TokenStore::Entry& entry) const {
  const std::string line = to_line(id, entry);
  const std::string random = OM_TRY(random_bytes(kAeadNonceBytes));
  Nonce nonce{};
  std::copy(random.begin(), random.end(), nonce.begin());
  Aead aead = OM_TRY(Aead::make(Cipher::kAes256Gcm, key_, Aead::Use::kSeal));
  std::string hidden(line.size(), '\0');
  Tag tag{};
  if (!aead.seal(nonce, bytes_of(id), bytes_of(line), reinterpret_cast<uint8_t*>(hidden.data()),
                 tag))
    return openssl_error("seal a token");
  std::string sealed = random + hidden;
  sealed.append(reinterpret_cast<const char*>(tag.data()), tag.size());
  if (sealed.size() > kMaxSealedToken) return plain_error("a token is too long");
  return sealed;
}

Result<TokenStore::Entry> TokenSeal::open(const std::string& id, std::string_view sealed) const {
  if (sealed.size() < kAeadNonceBytes + kAeadTagBytes || sealed.size() > kMaxSealedToken)
    return forged();
  Nonce nonce{};
  Tag tag{};
  std::copy_n(sealed.begin(), nonce.size(), nonce.begin());
  std::copy(sealed.end() - kAeadTagBytes, sealed.end(), tag.begin());
  const std::string_view hidden =
      sealed.substr(kAeadNonceBytes, sealed.size() - kAeadNonceBytes - kAeadTagBytes);
  Aead aead = OM_TRY(Aead::make(Cipher::kAes256Gcm, key_, Aead::Use::kOpen));
  std::string line(hidden.size(), '\0');
  if (!aead.open(nonce, bytes_of(id), bytes_of(hidden), reinterpret_cast<uint8_t*>(line.data()),
                 tag))
    return forged();
  if (!line.empty() && line.back() == '\n') line.pop_back();
  auto entry = OM_TRY(parse_token_line(line));
  if (entry.first != id) return forged();
  return std::move(entry.second);
}

}  // namespace om::migrator

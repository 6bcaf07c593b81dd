// SPDX-License-Identifier: Apache-2.0
//
// A token's state as signers leave it where others may read and write: AES-256-GCM under a key that follows from the
// CA's. Who reads it can neither use the token nor see who did, and who writes cannot make one; an older state can be
// put back.
//
//   nonce 12, random | encrypted line of JSON (token_store.h) | tag 16
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/tls/hkdf.h"
#include "migrator/identity/cluster_ca.h"
#include "migrator/identity/token_store.h"

namespace om::migrator {

constexpr size_t kMaxSealedToken = 4096;

class TokenSeal {
 public:
  static Result<TokenSeal> make(const ClusterCa& ca);

  Result<std::string> seal(const std::string& id, const TokenStore::Entry& entry) const;
  // EBADMSG: not sealed by a signer of this cluster, or for another token.
  Result<TokenStore::Entry> open(const std::string& id, std::string_view sealed) const;

 private:
  explicit TokenSeal(const DerivedKey& key) : key_(key) {}

  DerivedKey key_;
};

}  // namespace om::migrator

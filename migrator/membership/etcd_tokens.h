// SPDX-License-Identifier: Apache-2.0
//
// Tokens in etcd (cluster/shared_tokens.h): each is a key, sealed for signers, and its uses are counted by
// transactions that fail if another signer was faster. This node's TokenStore follows what is there, if it may sign.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "migrator/cluster/cluster.h"
#include "migrator/cluster/shared_tokens.h"
#include "migrator/etcd/service.h"
#include "migrator/identity/token_seal.h"

namespace om::migrator {

class EtcdTokens final : public SharedTokens {
 public:
  // How often a use is tried that another signer is ahead of.
  static constexpr int kTries = 8;
  // How long an expired token is still listed.
  static constexpr std::chrono::hours kKeepExpired{1};

  // All outlive it; `service` calls nothing of it after it has gone.
  EtcdTokens(const Clock& clock, Cluster& cluster, etcd::Service& service)
      : clock_(clock), cluster_(cluster), service_(service) {}

  void publish(const std::string& id, Done done) override;
  void revoke(const std::string& id, Done done) override;
  void refresh(const std::string& id, Done done) override;
  void claim(const std::string& id, const NodeId& node, Done done) override;

  // What the watch says.
  void follow(const etcd::Machine::TokenChange& change);
  // All that there are: others that were there have gone, and what was made here meanwhile is published.
  void settle(const std::set<std::string>& present);

 private:
  std::string key_of(const std::string& id) const;
  TokenStore* store();
  Result<TokenSeal> seal();
  Result<void> take(const std::string& id, const std::optional<std::string>& value,
                    int64_t mod_revision);
  void try_claim(const std::string& id, const NodeId& node, int tries, Done done);

  const Clock& clock_;
  Cluster& cluster_;
  etcd::Service& service_;
  std::map<std::string, int64_t> revisions_;  // at which the copies were true
};

}  // namespace om::migrator

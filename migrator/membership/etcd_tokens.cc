// SPDX-License-Identifier: Apache-2.0
#include "migrator/membership/etcd_tokens.h"

#include <utility>

#include "common/base/log.h"
#include "migrator/etcd/messages.h"
#include "migrator/etcd/records.h"
#include "migrator/identity/failures.h"

namespace om::migrator {
namespace {

std::optional<Failure> failure(const Error& error) {
  return Failure{ExitCode::kFailure, "tokens are kept in etcd: " + error.text()};
}

}  // namespace

std::string EtcdTokens::key_of(const std::string& id) const {
  return etcd::token_key(service_.prefix(), id);
}

TokenStore* EtcdTokens::store() {
  const auto signer = cluster_.signer();
  return signer ? &(*signer)->tokens() : nullptr;
}

Result<TokenSeal> EtcdTokens::seal() {
  const auto signer = cluster_.signer();
  if (!signer) return plain_error("this node may not sign");
  return TokenSeal::make((*signer)->ca());
}

// Takes over what etcd says of the token. One that was made here and is not there yet stays.
Result<void> EtcdTokens::take(const std::string& id, const std::optional<std::string>& value,
                              int64_t mod_revision) {
  TokenStore* tokens = store();
  if (tokens == nullptr) return {};
  const auto known = revisions_.find(id);
  if (value && known != revisions_.end() && known->second > mod_revision) return {};
  if (!value) {
    revisions_.erase(id);
    const auto own = tokens->all().find(id);
    if (own != tokens->all().end() && !own->second.shared) return {};
    return tokens->mirror(id, std::nullopt);
  }
  OM_TRY(tokens->mirror(id, OM_TRY(OM_TRY(seal()).open(id, *value))));
  revisions_[id] = mod_revision;
  return {};
}

void EtcdTokens::follow(const etcd::Machine::TokenChange& change) {
  const auto taken = take(change.id, change.value, change.mod_revision);
  if (!taken) log_warn("etcd", "token {}: {}, ignoring", change.id, taken.error().text());
}

void EtcdTokens::settle(const std::set<std::string>& present) {
  TokenStore* tokens = store();
  if (tokens == nullptr) return;
  std::vector<std::string> gone, fresh, old;
  for (const auto& [id, entry] : tokens->all()) {
    if (entry.shared && clock_.wall() >= entry.expires + kKeepExpired) {
      old.push_back(id);
    } else if (!present.contains(id))
      (entry.shared ? gone : fresh).push_back(id);
  }
  for (const std::string& id : gone) follow({id, std::nullopt, 0});
  for (const std::string& id : old) revoke(id, [](std::optional<Failure>) {});
  for (const std::string& id : fresh) {
    publish(id, [id](std::optional<Failure> failed) {
      if (failed) log_warn("etcd", "token {}: {}", id, failed->message);
    });
  }
}

void EtcdTokens::publish(const std::string& id, Done done) {
  TokenStore* tokens = store();
  if (tokens == nullptr) return done(not_a_member());
  const auto entry = tokens->all().find(id);
  if (entry == tokens->all().end()) return done(std::nullopt);
  const auto sealing = seal();
  const auto sealed = sealing ? sealing->seal(id, entry->second) : sealing.error();
  if (!sealed) return done(failure(sealed.error()));
  service_.call(etcd::kTxnPath, etcd::put_if_request(key_of(id), *sealed, 0),
                [this, id, done = std::move(done)](const Result<std::string>& body) {
                  if (!body) return done(failure(body.error()));
                  const auto outcome = etcd::read_outcome(*body);
                  if (!outcome) return done(failure(outcome.error()));
                  TokenStore* now = store();
                  if (now == nullptr || !now->all().contains(id)) return done(std::nullopt);
                  // It was there already, and the answer to an earlier request was lost: what is
                  // there counts.
                  if (!outcome->succeeded) return refresh(id, done);
                  revisions_[id] = outcome->revision;
                  const auto kept = now->mirror(id, now->all().at(id));
                  done(kept ? std::nullopt : failure(kept.error()));
                });
}

void EtcdTokens::revoke(const std::string& id, Done done) {
  service_.call(etcd::kDeletePath, etcd::delete_request(key_of(id)),
                [done = std::move(done)](const Result<std::string>& body) {
                  done(body ? std::nullopt : failure(body.error()));
                });
}

void EtcdTokens::refresh(const std::string& id, Done done) {
  service_.call(etcd::kRangePath, etcd::range_request(key_of(id), "", 0),
                [this, id, done = std::move(done)](const Result<std::string>& body) {
                  if (!body) return done(failure(body.error()));
                  const auto range = etcd::read_range(*body);
                  if (!range) return done(failure(range.error()));
                  const bool there = !range->all.empty() && range->all.front().key == key_of(id);
                  if (there) {
                    const etcd::KeyValue& kv = range->all.front();
                    const auto taken = take(id, kv.value, kv.mod_revision);
                    return done(taken ? std::nullopt : failure(taken.error()));
                  }
                  const auto taken = take(id, std::nullopt, range->revision);
                  if (!taken) return done(failure(taken.error()));
                  TokenStore* tokens = store();
                  // Made here while etcd was away.
                  if (tokens != nullptr && tokens->all().contains(id)) return publish(id, done);
                  done(std::nullopt);
                });
}

void EtcdTokens::claim(const std::string& id, const NodeId& node, Done done) {
  try_claim(id, node, kTries, std::move(done));
}

void EtcdTokens::try_claim(const std::string& id, const NodeId& node, int tries, Done done) {
  TokenStore* tokens = store();
  if (tokens == nullptr) return done(not_a_member());
  const auto known = tokens->all().find(id);
  const auto revision = revisions_.find(id);
  const bool there = known != tokens->all().end() && revision != revisions_.end();
  if (!there || has_used(known->second, node) || known->second.uses_left <= 0)
    return done(std::nullopt);
  TokenStore::Entry next = known->second;
  count_use(next, node);
  const auto sealing = seal();
  const auto sealed = sealing ? sealing->seal(id, next) : sealing.error();
  if (!sealed) return done(failure(sealed.error()));
  service_.call(
      etcd::kTxnPath, etcd::put_if_request(key_of(id), *sealed, revision->second),
      [this, id, node, tries, next, done = std::move(done)](const Result<std::string>& body) {
        if (!body) return done(failure(body.error()));
        const auto outcome = etcd::read_outcome(*body);
        if (!outcome) return done(failure(outcome.error()));
        if (outcome->succeeded) {
          TokenStore* now = store();
          if (now == nullptr) return done(not_a_member());
          revisions_[id] = outcome->revision;
          const auto kept = now->mirror(id, next);
          return done(kept ? std::nullopt : failure(kept.error()));
        }
        if (tries <= 1) return done(failure(plain_error("too many machines use this one")));
        refresh(id, [this, id, node, tries, done](std::optional<Failure> failed) {
          if (failed) return done(failed);
          try_claim(id, node, tries - 1, done);
        });
      });
}

}  // namespace om::migrator

// SPDX-License-Identifier: Apache-2.0
#include "migrator/identity/token_store.h"

#include <errno.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/base/hex.h"
#include "common/net/json_line.h"
#include "common/tls/openssl.h"
#include "migrator/identity/left_line.h"

namespace om::migrator {
namespace {

constexpr mode_t kPrivate = 0600;
constexpr int64_t kFormat = 1;
constexpr int64_t kMaxSeconds = int64_t{1} << 33;

WallTime whole_seconds(WallTime time) {
  return std::chrono::time_point_cast<std::chrono::seconds>(time);
}

Error bad_file(const char* what) { return Error{EBADMSG, std::string("tokens: ") + what}; }

// Who has used the token; the files of earlier releases do not say so.
Result<std::vector<NodeId>> parse_users(const Json& item) {
  std::vector<NodeId> users;
  if (!item.contains("users")) return users;
  const auto texts = json_strings(item, "users", kMaxRememberedUses, 64);
  if (!texts) return bad_file("its users");
  for (const std::string& text : *texts) {
    const auto id = NodeId::parse(text);
    if (!id) return bad_file("a user");
    users.push_back(*id);
  }
  return users;
}

Result<std::pair<std::string, TokenStore::Entry>> parse_entry(const Json& item) {
  if (!item.is_object()) return bad_file("an entry is no object");
  const auto id = json_string(item, "id", 64);
  const auto key = json_string(item, "proof_key", 64);
  const auto expires = json_int(item, "expires", 0, kMaxSeconds);
  const auto uses = json_int(item, "uses_left", 0, kMaxTokenUses);
  if (!id || !key || !expires || !uses)
    return bad_file("an entry lacks a field or exceeds a limit");
  const auto bytes = from_base32(*id);
  if (!bytes || bytes->size() != kTokenIdBytes) return bad_file("an id");
  auto proof_key = from_hex(*key, kSha256Bytes);
  if (!proof_key) return bad_file("a key");
  return std::pair{
      *id, TokenStore::Entry{std::move(*proof_key), WallTime(std::chrono::seconds(*expires)),
                             static_cast<int>(*uses), OM_TRY(parse_users(item)),
                             OM_TRY(json_bool_or(item, "shared", false))}};
}

Json to_json(const std::string& id, const TokenStore::Entry& entry) {
  const auto expires =
      std::chrono::duration_cast<std::chrono::seconds>(entry.expires.time_since_epoch());
  Json users = Json::array();
  for (const NodeId& user : entry.users) users.push_back(user.text());
  return {{"id", id},
          {"proof_key", to_hex(entry.proof_key)},
          {"expires", static_cast<int64_t>(expires.count())},
          {"uses_left", entry.uses_left},
          {"users", std::move(users)}};
}

}  // namespace

bool has_used(const TokenStore::Entry& entry, const NodeId& node) {
  return std::find(entry.users.begin(), entry.users.end(), node) != entry.users.end();
}

void count_use(TokenStore::Entry& entry, const NodeId& node) {
  if (has_used(entry, node)) return;
  --entry.uses_left;
  if (entry.users.size() == kMaxRememberedUses) entry.users.erase(entry.users.begin());
  entry.users.push_back(node);
}

std::string to_line(const std::string& id, const TokenStore::Entry& entry) {
  return to_json_line(to_json(id, entry));
}

Result<std::pair<std::string, TokenStore::Entry>> parse_token_line(std::string_view line) {
  const auto item = parse_json_line(line);
  if (!item) return bad_file("no JSON object");
  auto entry = OM_TRY(parse_entry(*item));
  entry.second.shared = false;
  return entry;
}

const char* answer_text(TokenStore::Answer answer) {
  switch (answer) {
    case TokenStore::Answer::kRight:
      return "right";
    case TokenStore::Answer::kWrong:
      return "unknown or not proved";
    case TokenStore::Answer::kExpired:
      return "expired";
    case TokenStore::Answer::kUsedUp:
      return "used up";
    case TokenStore::Answer::kLocked:
      return "refused for a minute after wrong proofs";
  }
  return "";
}

Result<std::map<std::string, TokenStore::Entry>> parse_tokens(const std::string& text) {
  const auto file = parse_json_line(text);
  if (!file) return bad_file("no JSON object");
  const auto format = json_int(*file, "format", kFormat, kFormat);
  if (!format) return bad_file("another format");
  const auto tokens = file->find("tokens");
  if (tokens == file->end() || !tokens->is_array() || tokens->size() > kMaxTokens)
    return bad_file("no list of tokens");
  std::map<std::string, TokenStore::Entry> entries;
  for (const Json& item : *tokens) {
    auto entry = OM_TRY(parse_entry(item));
    if (!entries.insert(std::move(entry)).second) return bad_file("an id stands there twice");
  }
  return entries;
}

Result<TokenStore> TokenStore::open(const OwnDirectory& state, const Clock& clock) {
  TokenStore store(state, clock);
  const auto text = OM_TRY(read_left_line(state, kFileName, &OwnDirectory::read_private));
  if (!text) return store;
  store.entries_ = OM_TRY(parse_tokens(*text));
  return store;
}

Result<void> TokenStore::write(const std::map<std::string, Entry>& entries) const {
  Json tokens = Json::array();
  for (const auto& [id, entry] : entries) {
    Json item = to_json(id, entry);
    if (entry.shared) item["shared"] = true;
    tokens.push_back(std::move(item));
  }
  const Json file = {{"format", kFormat}, {"tokens", std::move(tokens)}};
  return state_->replace(kFileName, to_json_line(file), kPrivate);
}

Result<Token> TokenStore::create(const std::string& cluster, const std::string& ca_hash,
                                 std::chrono::seconds life, int uses) {
  if (life <= std::chrono::seconds(0) || life > kMaxTokenLife)
    return plain_error("a token may be good for up to a year");
  if (uses < 1 || uses > kMaxTokenUses)
    return plain_error("a token may be used 1 to 1000000 times");
  Token token = OM_TRY(Token::make(cluster, ca_hash));
  const WallTime now = clock_->wall();
  auto entries = entries_;
  std::erase_if(entries, [&](const auto& item) { return item.second.expires <= now; });
  if (entries.size() >= kMaxTokens) return plain_error("there are 256 tokens already; revoke some");
  entries[token.id_text()] = Entry{token.proof_key(), whole_seconds(now + life), uses, {}, false};
  OM_TRY(write(entries));
  entries_ = std::move(entries);
  std::erase_if(locks_, [&](const auto& item) { return !entries_.contains(item.first); });
  return token;
}

Result<bool> TokenStore::revoke(const std::string& id) {
  if (!entries_.contains(id)) return false;
  auto entries = entries_;
  entries.erase(id);
  OM_TRY(write(entries));
  entries_ = std::move(entries);
  locks_.erase(id);
  return true;
}

Result<void> TokenStore::mirror(const std::string& id, std::optional<Entry> entry) {
  const auto found = entries_.find(id);
  if (entry) entry->shared = true;
  if (found == entries_.end() ? !entry : entry == found->second) return {};
  auto entries = entries_;
  if (entry) {
    entries[id] = std::move(*entry);
  } else {
    entries.erase(id);
  }
  if (entries.size() > kMaxTokens) return plain_error("there are 256 tokens already");
  OM_TRY(write(entries));
  entries_ = std::move(entries);
  if (!entries_.contains(id)) locks_.erase(id);
  return {};
}

std::vector<TokenStore::Listed> TokenStore::list() const {
  std::vector<Listed> all;
  for (const auto& [id, entry] : entries_) all.push_back({id, entry.expires, entry.uses_left});
  return all;
}

TokenStore::Answer TokenStore::check(std::string_view id, std::string_view proof,
                                     std::string_view exporter, const NodeId& node) {
  const auto found = id.size() == kTokenIdBytes ? entries_.find(to_base32(id)) : entries_.end();
  // Computed for an unknown id, too: the time is to tell nothing.
  const std::string key =
      found == entries_.end() ? std::string(kSha256Bytes, '\0') : found->second.proof_key;
  const std::string right = token_proof(key, exporter);
  const bool proved = exporter.size() == kProofInputBytes && right.size() == kSha256Bytes &&
                      equal_secrets(proof, right);
  if (found == entries_.end()) return Answer::kWrong;
  Lock& lock = locks_[found->first];
  if (clock_->now() < lock.until) return Answer::kLocked;
  if (!proved) {
    if (++lock.wrong >= kMaxWrongProofs) lock = {0, clock_->now() + kLockTime};
    return Answer::kWrong;
  }
  lock = {};
  const Entry& entry = found->second;
  if (clock_->wall() >= entry.expires) return Answer::kExpired;
  return entry.uses_left > 0 || has_used(entry, node) ? Answer::kRight : Answer::kUsedUp;
}

Result<TokenStore::Answer> TokenStore::redeem(std::string_view id, std::string_view proof,
                                              std::string_view exporter, const NodeId& node) {
  const Answer answer = check(id, proof, exporter, node);
  if (answer != Answer::kRight) return answer;
  auto entries = entries_;
  Entry& entry = entries[to_base32(id)];
  if (has_used(entry, node)) return answer;
  count_use(entry, node);
  OM_TRY(write(entries));
  entries_ = std::move(entries);
  return answer;
}

}  // namespace om::migrator

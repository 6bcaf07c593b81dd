// SPDX-License-Identifier: Apache-2.0
//
// The tokens of a signer: which there are, until when and how often each may be used. They are one small file,
// `tokens.json`, replaced at each change, so they survive a restart. It has no secrets, only their hashes; still, who
// reads it can use its tokens until they end, so it has mode 0600 like the CA's key beside it.
//
// A use belongs to a node: the node that has used a token may use it again, without being counted again. So a join that
// broke off, on either side, can be repeated with a token that is meant for one machine. Of each token the last
// kMaxRememberedUses nodes are remembered.
//
// A wrong proof counts against its token: after kMaxWrongProofs in a row the token is refused for kLockTime, right
// proofs as well. This is not kept over a restart.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/own_directory.h"
#include "common/base/result.h"
#include "common/tls/certificate.h"
#include "migrator/identity/token.h"

namespace om::migrator {

constexpr int kMaxWrongProofs = 5;
constexpr std::chrono::minutes kLockTime{1};
constexpr size_t kMaxTokens = 256;
constexpr std::chrono::hours kMaxTokenLife{365 * 24};
constexpr int kMaxTokenUses = 1'000'000;
constexpr size_t kMaxRememberedUses = 64;

class TokenStore {
 public:
  static constexpr const char* kFileName = "tokens.json";

  struct Entry {
    std::string proof_key;        // 32 bytes
    WallTime expires;             // whole seconds
    int uses_left;                // 0: used up, kept until it expires
    std::vector<NodeId> users{};  // the last ones, the newest last
    bool shared = false;          // other signers have it as well
    bool operator==(const Entry&) const = default;
  };
  struct Listed {
    std::string id;  // as in Token::id_text()
    WallTime expires;
    int uses_left;
  };
  enum class Answer { kRight, kWrong, kExpired, kUsedUp, kLocked };

  // Reads what an earlier daemon has left; none is no error. Both arguments must outlive the store. Errors: a file that
  // others may read or change, or that is not ours.
  static Result<TokenStore> open(const OwnDirectory& state, const Clock& clock);

  // `life`: up to kMaxTokenLife; `uses`: up to kMaxTokenUses. Forgets expired tokens. Errors: arguments out of range,
  // kMaxTokens, no room on the disk; then there is no new token.
  Result<Token> create(const std::string& cluster, const std::string& ca_hash,
                       std::chrono::seconds life, int uses);
  // False if there is none of this id (as in Token::id_text()). Errors: those of writing; the token is then still good.
  Result<bool> revoke(const std::string& id);
  std::vector<Listed> list() const;

  // For tokens that several signers share, whose state is kept elsewhere (membership/etcd_tokens.h).
  const std::map<std::string, Entry>& all() const { return entries_; }
  // The token is as `entry` says (its `shared` aside), or gone. Errors: kMaxTokens, those of writing.
  Result<void> mirror(const std::string& id, std::optional<Entry> entry);

  // Whether `proof` proves token `id` (bytes) over `exporter` (kProofInputBytes of this connection), and the token may
  // be used by `node`. Counts wrong proofs, but no use. An unknown id is kWrong.
  Answer check(std::string_view id, std::string_view proof, std::string_view exporter,
               const NodeId& node);
  // The same, and kRight counts as a use by `node`, which is on the disk before this returns: a failure to write is an
  // Error, and the use does not count.
  Result<Answer> redeem(std::string_view id, std::string_view proof, std::string_view exporter,
                        const NodeId& node);

 private:
  struct Lock {
    int wrong = 0;
    MonotonicTime until{};
  };

  TokenStore(const OwnDirectory& state, const Clock& clock) : state_(&state), clock_(&clock) {}
  Result<void> write(const std::map<std::string, Entry>& entries) const;

  const OwnDirectory* state_;
  const Clock* clock_;
  std::map<std::string, Entry> entries_;  // by Token::id_text()
  std::map<std::string, Lock> locks_;     // of entries_ only
};

// What tokens.json says, for reading it: no more than kMaxTokens, everything in range. Errors: anything else.
Result<std::map<std::string, TokenStore::Entry>> parse_tokens(const std::string& text);

// One of them as a line of JSON, and back; whether it is shared is left out.
std::string to_line(const std::string& id, const TokenStore::Entry& entry);
Result<std::pair<std::string, TokenStore::Entry>> parse_token_line(std::string_view line);
// A use by `node`, which is remembered; nothing happens if it has used the token before. Preconditions: a use is left,
// or it has.
void count_use(TokenStore::Entry& entry, const NodeId& node);
bool has_used(const TokenStore::Entry& entry, const NodeId& node);

// "used up": for the joiner and the log.
const char* answer_text(TokenStore::Answer answer);

}  // namespace om::migrator

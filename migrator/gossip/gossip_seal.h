// SPDX-License-Identifier: Apache-2.0
//
// The seal of datagrams between members. Numbers are little endian:
//
//   "omg" | version 1 | number of the group key 4 | sender 8 | counter 8 | text, encrypted | tag 16
//
// AES-256-GCM; all before the text is authenticated, too. Each sender has a key of its own, made from the group key by
// HKDF-SHA256 with the info "openmosix gossip", number of the group key (4 bytes) and sender. The nonce is 4 zero bytes
// and the counter, which rises with each datagram and begins above all of earlier lives (start_numbers.h). A receiver
// takes each counter once and none that is kReplayWindow or more behind the highest one of its sender. It remembers
// none of it over a restart: what comes again then is news of before, which incarnations make harmless.
//
// Whoever has the group key can take the name of any member: it keeps out others, not liars. While it is replaced, two
// keys are accepted, and the older one seals until the owner says otherwise. State is kept of members, and of a bounded
// number of others that have proved to have the group key: nodes that this one has not heard of yet.
#pragma once

#include <stdint.h>

#include <array>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/base/node_id.h"
#include "common/base/result.h"
#include "common/tls/aead.h"
#include "common/tls/hkdf.h"
#include "migrator/gossip/refusals.h"
#include "migrator/identity/cluster_files.h"
#include "migrator/members/datagram.h"

namespace om::members {

constexpr size_t kSealHeaderBytes = 24;
constexpr size_t kSealBytes = kSealHeaderBytes + kAeadTagBytes;
constexpr size_t kMaxSealedBytes = 1200;
static_assert(kMaxDatagramBytes + kSealBytes <= kMaxSealedBytes);
constexpr uint64_t kReplayWindow = 64;

using migrator::GroupKey;

class GossipSeal {
 public:
  // Of nodes that are no members: how many are remembered, how many datagrams a second are looked at.
  static constexpr size_t kMaxStrangers = 256;
  static constexpr unsigned kStrangersASecond = 100;

  // `first_counter`: above all that this node has used with the same group key. `is_member`: asked for each sender.
  GossipSeal(NodeId self, uint64_t first_counter, std::function<bool(NodeId)> is_member);
  ~GossipSeal();
  GossipSeal(const GossipSeal&) = delete;
  GossipSeal& operator=(const GossipSeal&) = delete;

  // Accepts datagrams under this key, too; the second to last key goes. The first key also seals. A key that is not
  // newer than the newest changes nothing. Errors: a key of another length, OpenSSL has no memory.
  Result<void> add_key(const GroupKey& key);
  // Seals with the newest key from now on.
  void use_newest();
  // Accepts the newest key only, and seals with it.
  void drop_older();
  // The newest key, 0 if there is none; and the one that seals.
  uint32_t newest() const { return newest_ ? newest_->group.number : 0; }
  uint32_t sealing() const;
  std::vector<GroupKey> keys() const;  // those that are accepted, the newest last

  // The datagram that carries `text` (at most kMaxDatagramBytes). Errors: size, no key, counters used up, OpenSSL.
  Result<std::string> seal(std::string_view text);

  struct Opened {
    NodeId sender;
    std::string_view text;  // until the next call
  };
  // Checks everything and counts the datagram as received.
  Expected<Opened, Refusal> open(std::string_view datagram, MonotonicTime now);
  // The number of the group key that a datagram claims, if it has our form.
  static std::optional<uint32_t> claimed_key(std::string_view datagram);

  // Forgets senders that are neither members any more nor among the latest strangers.
  void sweep();
  size_t senders() const { return senders_.size(); }
  uint64_t counter() const { return counter_; }  // of the next datagram

 private:
  struct Key {
    GroupKey group;
    Aead own;
  };
  struct Sender {
    std::array<std::optional<uint32_t>, 2> numbers{};  // of the group keys that `keys` come from
    std::array<DerivedKey, 2> keys{};
    uint64_t highest = 0;
    uint64_t seen = 0;  // bit i: highest - i was received
  };

  const Key* key_of(uint32_t number) const;
  Result<DerivedKey> derive(const GroupKey& group, NodeId sender) const;
  bool opens(const DerivedKey& key, std::string_view datagram);
  std::optional<Refusal> judge(std::string_view datagram, NodeId sender, uint64_t counter,
                               const GroupKey& group, MonotonicTime now);
  Sender& remember(NodeId sender, bool member);
  bool stranger_allowed(MonotonicTime now);

  NodeId self_;
  uint64_t counter_;
  std::function<bool(NodeId)> is_member_;
  std::optional<Key> newest_;
  std::optional<Key> older_;
  bool seals_with_older_ = false;
  std::unordered_map<NodeId, Sender> senders_;
  std::deque<NodeId> strangers_;  // in senders_, the latest last; some may have become members
  MonotonicTime second_{};        // of strangers_seen_
  unsigned strangers_seen_ = 0;
  std::array<uint8_t, kMaxSealedBytes> text_{};
};

// Whether `counter` may be taken, and takes it.
bool take_counter(uint64_t& highest, uint64_t& seen, uint64_t counter);

}  // namespace om::members

// SPDX-License-Identifier: Apache-2.0
#include "migrator/gossip/gossip_seal.h"

#include <openssl/crypto.h>
#include <string.h>

#include <algorithm>
#include <utility>

#include "common/base/bytes.h"

namespace om::members {
namespace {

constexpr std::string_view kMagic{"omg\x01", 4};
constexpr size_t kNumberAt = 4;
constexpr size_t kSenderAt = 8;
constexpr size_t kCounterAt = 16;
constexpr std::string_view kPurpose = "openmosix gossip";

template <class T>
T number_at(std::string_view bytes, size_t at) {
  return ByteReader(bytes.substr(at)).number<T>();
}

std::string_view text_of(const NodeId& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

bool has_form(std::string_view datagram) {
  return datagram.size() >= kSealBytes && datagram.size() <= kMaxSealedBytes &&
         datagram.starts_with(kMagic);
}

}  // namespace

bool take_counter(uint64_t& highest, uint64_t& seen, uint64_t counter) {
  if (counter > highest) {
    const uint64_t ahead = counter - highest;
    seen = ahead >= kReplayWindow ? 1 : seen << ahead | 1;
    highest = counter;
    return true;
  }
  const uint64_t behind = highest - counter;
  if (behind >= kReplayWindow || (seen >> behind & 1) != 0) return false;
  seen |= uint64_t{1} << behind;
  return true;
}

GossipSeal::GossipSeal(NodeId self, uint64_t first_counter, std::function<bool(NodeId)> is_member)
    : self_(self), counter_(first_counter), is_member_(std::move(is_member)) {}

GossipSeal::~GossipSeal() {
  const auto forget = [](auto& secret) { ::OPENSSL_cleanse(secret.data(), secret.size()); };
  if (newest_) forget(newest_->group.bytes);
  if (older_) forget(older_->group.bytes);
  for (auto& [id, sender] : senders_) {
    for (DerivedKey& key : sender.keys) forget(key);
  }
}

Result<DerivedKey> GossipSeal::derive(const GroupKey& group, NodeId sender) const {
  std::string info(kPurpose);
  put_number(info, group.number);
  info += text_of(sender);
  return hkdf_sha256(bytes_of(group.bytes), info);
}

Result<void> GossipSeal::add_key(const GroupKey& key) {
  if (key.bytes.size() != migrator::kGroupKeyBytes) return plain_error("a group key of odd length");
  const bool twin = newest_ && key.number == newest();
  if (newest_ && (key.number < newest() || (twin && key.bytes <= newest_->group.bytes))) return {};
  DerivedKey own_key = OM_TRY(derive(key, self_));
  auto own = Aead::make(Cipher::kAes256Gcm, own_key, Aead::Use::kSeal);
  ::OPENSSL_cleanse(own_key.data(), own_key.size());
  if (!own) return own.error();
  if (twin) {
    // Two signers have made one at once. What was derived from the other one is worth nothing.
    for (auto& [id, sender] : senders_) sender.numbers[key.number & 1].reset();
  } else {
    seals_with_older_ = newest_.has_value();
    if (newest_) older_ = std::move(newest_);
  }
  newest_ = Key{key, std::move(*own)};
  return {};
}

void GossipSeal::use_newest() { seals_with_older_ = false; }

void GossipSeal::drop_older() {
  use_newest();
  if (older_) ::OPENSSL_cleanse(older_->group.bytes.data(), older_->group.bytes.size());
  older_.reset();
}

uint32_t GossipSeal::sealing() const {
  return seals_with_older_ && older_ ? older_->group.number : newest();
}

std::vector<GroupKey> GossipSeal::keys() const {
  std::vector<GroupKey> all;
  if (older_) all.push_back(older_->group);
  if (newest_) all.push_back(newest_->group);
  return all;
}

const GossipSeal::Key* GossipSeal::key_of(uint32_t number) const {
  if (newest_ && newest_->group.number == number) return &*newest_;
  return older_ && older_->group.number == number ? &*older_ : nullptr;
}

Result<std::string> GossipSeal::seal(std::string_view text) {
  if (text.size() > kMaxDatagramBytes) return plain_error("a datagram that is too long to seal");
  Key* key = seals_with_older_ && older_ ? &*older_ : newest_ ? &*newest_ : nullptr;
  if (key == nullptr) return plain_error("there is no group key yet");
  if (counter_ == UINT64_MAX) return plain_error("the counter of datagrams is used up");
  std::string datagram(kMagic);
  datagram.reserve(text.size() + kSealBytes);
  put_number(datagram, key->group.number);
  datagram += text_of(self_);
  put_number(datagram, counter_);
  datagram.resize(text.size() + kSealBytes);
  auto* bytes = reinterpret_cast<uint8_t*>(datagram.data());
  // The counter is used, whatever becomes of it.
  if (!key->own.seal(
          counter_nonce(counter_++), {bytes, kSealHeaderBytes}, bytes_of(text),
          bytes + kSealHeaderBytes,
          std::span<uint8_t, kAeadTagBytes>(bytes + kSealHeaderBytes + text.size(), kAeadTagBytes)))
    return plain_error("seal a datagram: OpenSSL refuses");
  return datagram;
}

std::optional<uint32_t> GossipSeal::claimed_key(std::string_view datagram) {
  if (!has_form(datagram)) return {};
  return number_at<uint32_t>(datagram, kNumberAt);
}

bool GossipSeal::opens(const DerivedKey& key, std::string_view datagram) {
  auto aead = Aead::make(Cipher::kAes256Gcm, key, Aead::Use::kOpen);
  if (!aead) return false;
  const auto bytes = bytes_of(datagram);
  return aead->open(counter_nonce(number_at<uint64_t>(datagram, kCounterAt)),
                    bytes.first(kSealHeaderBytes),
                    bytes.subspan(kSealHeaderBytes, bytes.size() - kSealBytes), text_.data(),
                    bytes.last<kAeadTagBytes>());
}

bool GossipSeal::stranger_allowed(MonotonicTime now) {
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    strangers_seen_ = 0;
  }
  return strangers_seen_++ < kStrangersASecond;
}

GossipSeal::Sender& GossipSeal::remember(NodeId id, bool member) {
  const auto [at, added] = senders_.try_emplace(id);
  if (added && !member) {
    strangers_.push_back(id);
    if (strangers_.size() > kMaxStrangers) {
      const NodeId oldest = strangers_.front();
      strangers_.pop_front();
      if (!is_member_(oldest)) senders_.erase(oldest);
    }
  }
  return senders_.find(id)->second;
}

// Whether the datagram is to be refused. The text is in text_ if not.
std::optional<Refusal> GossipSeal::judge(std::string_view datagram, NodeId id, uint64_t counter,
                                         const GroupKey& group, MonotonicTime now) {
  const bool member = is_member_(id);
  const auto known = senders_.find(id);
  if (!member && known == senders_.end()) {
    // Made up ids cost no memory, and not more time than this.
    if (!stranger_allowed(now)) return Refusal::kUnknownSender;
    const auto key = derive(group, id);
    if (!key || !opens(*key, datagram)) return Refusal::kUnknownSender;
    Sender& sender = remember(id, false);
    return take_counter(sender.highest, sender.seen, counter)
               ? std::nullopt
               : std::optional<Refusal>(Refusal::kReplay);
  }
  Sender& sender = remember(id, member);
  const size_t place = group.number & 1;
  if (sender.numbers[place] != group.number) {
    const auto key = derive(group, id);
    if (!key) return Refusal::kBadTag;
    sender.keys[place] = *key;
    sender.numbers[place] = group.number;
  }
  if (!opens(sender.keys[place], datagram)) return Refusal::kBadTag;
  if (!take_counter(sender.highest, sender.seen, counter)) return Refusal::kReplay;
  return {};
}

Expected<GossipSeal::Opened, Refusal> GossipSeal::open(std::string_view datagram,
                                                       MonotonicTime now) {
  if (!has_form(datagram)) return Refusal::kMalformed;
  const Key* key = key_of(number_at<uint32_t>(datagram, kNumberAt));
  if (key == nullptr) return Refusal::kUnknownKey;
  NodeId sender;
  ::memcpy(sender.bytes.data(), datagram.data() + kSenderAt, sender.bytes.size());
  // One's own, sent back by somebody.
  if (sender == self_) return Refusal::kReplay;
  const auto refused =
      judge(datagram, sender, number_at<uint64_t>(datagram, kCounterAt), key->group, now);
  if (refused) return *refused;
  return Opened{sender,
                {reinterpret_cast<const char*>(text_.data()), datagram.size() - kSealBytes}};
}

void GossipSeal::sweep() {
  std::erase_if(strangers_, [&](NodeId id) { return is_member_(id); });
  std::erase_if(senders_, [&](auto& entry) {
    return !is_member_(entry.first) &&
           std::find(strangers_.begin(), strangers_.end(), entry.first) == strangers_.end();
  });
}

}  // namespace om::members

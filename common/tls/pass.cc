// SPDX-License-Identifier: Apache-2.0
#include "common/tls/pass.h"

#include <stddef.h>
#include <string.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "common/tls/openssl.h"
#include "libom/abi/layout.h"

namespace om {
namespace {

static_assert(kChannelAes256Gcm == static_cast<uint32_t>(Cipher::kAes256Gcm));
static_assert(kChannelChaCha20Poly1305 == static_cast<uint32_t>(Cipher::kChaCha20Poly1305));

// All bytes but the tag's.
std::span<const uint8_t> fields_of(const Preamble& p) {
  return {reinterpret_cast<const uint8_t*>(&p), offsetof(Preamble, tag)};
}

// What the tag does not say: whether there is such a thing.
bool exists(const Preamble& p) {
  if (p.magic != kPreambleMagic || p.member >= kMembers || p.cipher > kMaxCipherNumber ||
      p.pad != 0 || p.attempt == 0)
    return false;
  switch (p.kind) {
    case kPreambleSession:
      return p.member == kFirstMember && p.slot == 0 && p.epoch == 0;
    case kPreambleBulk:
      return p.slot == 0 && p.epoch == 0;
    case kPreambleChannel:
      return p.slot < kMaxSlots;
    default:
      return false;
  }
}

}  // namespace

Pass::Pass(SessionKeys keys, const SessionTerms& terms, Party from, Party to)
    : keys_(std::move(keys)), from_(from), to_(to) {
  std::copy(std::begin(terms.session), std::end(terms.session), session_);
}

Result<Pass> Pass::make(const SessionTerms& terms, Party from, Party to) {
  return Pass(OM_TRY(SessionKeys::make(terms.secret)), terms, from, to);
}

Result<Preamble> Pass::preamble(const To& to, uint64_t attempt, SessionCipher cipher) const {
  const std::string random = OM_TRY(random_bytes(kPreambleNonceBytes));
  Preamble p{};
  p.magic = kPreambleMagic;
  p.kind = to.kind;
  p.member = to.member;
  p.slot = to.slot;
  p.epoch = to.epoch;
  p.from = from_;
  p.to = to_;
  p.attempt = attempt;
  p.cipher = cipher_number(cipher);
  memcpy(p.session, session_, sizeof p.session);
  memcpy(p.nonce, random.data(), sizeof p.nonce);
  const PreambleTag tag = keys_.preamble_tag(fields_of(p));
  memcpy(p.tag, tag.data(), sizeof p.tag);
  return p;
}

bool Pass::opens(const Preamble& p) const {
  PreambleTag tag;
  memcpy(tag.data(), p.tag, sizeof p.tag);
  return exists(p) && p.from == from_ && p.to == to_ &&
         memcmp(p.session, session_, sizeof session_) == 0 &&
         keys_.preamble_proves(fields_of(p), tag);
}

Result<ChannelKeys> Pass::keys(const Preamble& p, End end) const {
  ChannelKeys keys{};
  if (p.cipher == kChannelPlain) return keys;
  ConnectionName name{p.kind, p.member, p.slot, p.epoch, p.attempt, {}};
  std::copy(std::begin(p.nonce), std::end(p.nonce), name.nonce.begin());
  const DerivedKey dialler = OM_TRY(keys_.record_key(name, Direction::kFromDialler));
  const DerivedKey listener = OM_TRY(keys_.record_key(name, Direction::kFromListener));
  keys.cipher = p.cipher;
  const bool dials = end == End::kDialler;
  std::copy(dialler.begin(), dialler.end(), dials ? keys.send : keys.receive);
  std::copy(listener.begin(), listener.end(), dials ? keys.receive : keys.send);
  return keys;
}

bool Attempts::is_new(const Preamble& p) const {
  const auto last = taken_.find(purpose(p));
  return p.attempt > floor_ && (last == taken_.end() || p.attempt > last->second);
}

void Attempts::take(const Preamble& p) {
  taken_[purpose(p)] = p.attempt;
  highest_ = std::max(highest_, p.attempt);
}

}  // namespace om

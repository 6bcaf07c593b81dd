// SPDX-License-Identifier: Apache-2.0
//
// common/tls/pass.h: a preamble opens a connection of its session and its pair, for what exists, and once.
#include "common/tls/pass.h"

#include <doctest/doctest.h>
#include <string.h>

namespace om {
namespace {

constexpr SessionTerms kTerms{{1, 2, 3}, {4, 5, 6}};

Pass pass_of(const SessionTerms& terms = kTerms) {
  return Pass::make(terms, kPartyKeeper, kPartyDeputy).value();
}
Preamble dial(const Pass& pass, Pass::To to, uint64_t attempt = 1) {
  return pass.preamble(to, attempt, Cipher::kAes256Gcm).value();
}
bool same(const uint8_t (&a)[32], const uint8_t (&b)[32]) { return memcmp(a, b, sizeof a) == 0; }

TEST_CASE("a pass opens what was dialled with it, and nothing else") {
  const Pass pass = pass_of();
  const Preamble good = dial(pass, {kPreambleChannel, kFirstMember, 7, 3});
  CHECK(pass.opens(good));
  const auto* bytes = reinterpret_cast<const uint8_t*>(&good);
  for (size_t bit = 0; bit < 8 * sizeof good; bit++) {
    CAPTURE(bit);
    uint8_t changed[sizeof good];
    memcpy(changed, bytes, sizeof good);
    changed[bit / 8] = static_cast<uint8_t>(changed[bit / 8] ^ 1 << bit % 8);
    Preamble p;
    memcpy(&p, changed, sizeof p);
    CHECK_FALSE(pass.opens(p));
  }
  SessionTerms other = kTerms;
  other.secret[31] = 1;
  CHECK_FALSE(pass_of(other).opens(good));
  CHECK_FALSE(Pass::make(kTerms, kPartyDeputy, kPartyKeeper)->opens(good));
}

TEST_CASE("what does not exist is refused although it is proven") {
  const Pass pass = pass_of();
  CHECK_FALSE(pass.opens(dial(pass, {kPreambleChannel, kMembers})));
  CHECK_FALSE(pass.opens(dial(pass, {kPreambleChannel, kFirstMember, UINT32_MAX})));
  CHECK_FALSE(pass.opens(dial(pass, {kPreambleSession, kFirstMember, 1})));
  CHECK_FALSE(pass.opens(dial(pass, {static_cast<PreambleKind>(4)})));
  CHECK_FALSE(pass.opens(dial(pass, {kPreambleBulk}, 0)));
  CHECK(pass.opens(dial(pass, {kPreambleBulk})));
}

TEST_CASE("the secret is not in it, and no two are alike") {
  SessionTerms terms = kTerms;
  memset(terms.secret, 0x5a, sizeof terms.secret);
  const Preamble one = dial(pass_of(terms), {kPreambleSession}),
                 two = dial(pass_of(terms), {kPreambleSession});
  CHECK(memmem(&one, sizeof one, terms.secret, 8) == nullptr);
  CHECK(memcmp(one.nonce, two.nonce, sizeof one.nonce) != 0);
}

TEST_CASE("each connection has keys of its own, one for each direction") {
  const Pass pass = pass_of();
  const Preamble one = dial(pass, {kPreambleSession}, 1), two = dial(pass, {kPreambleSession}, 2);
  const ChannelKeys dialler = pass.keys(one, Pass::End::kDialler).value(),
                    listener = pass.keys(one, Pass::End::kListener).value(),
                    next = pass.keys(two, Pass::End::kDialler).value();
  CHECK(dialler.cipher == kChannelAes256Gcm);
  CHECK(same(dialler.send, listener.receive));
  CHECK(same(dialler.receive, listener.send));
  CHECK_FALSE(same(dialler.send, dialler.receive));
  CHECK_FALSE(same(dialler.send, next.send));
  const Preamble plain = pass.preamble({kPreambleSession}, 3, std::nullopt).value();
  CHECK(pass.opens(plain));
  const ChannelKeys none = pass.keys(plain, Pass::End::kDialler).value(), zero{};
  CHECK(memcmp(&none, &zero, sizeof none) == 0);
}

TEST_CASE("an attempt is taken once, and no older one of its purpose after it") {
  const Pass pass = pass_of();
  auto session = [&](uint64_t n) { return dial(pass, {kPreambleSession}, n); };
  auto channel = [&](uint32_t slot, uint64_t n) {
    return dial(pass, {kPreambleChannel, kFirstMember, slot, 1}, n);
  };
  Attempts attempts;
  CHECK(attempts.is_new(session(1)));
  attempts.take(session(1));
  CHECK_FALSE(attempts.is_new(session(1)));
  attempts.take(channel(3, 9));
  // Dials for other purposes overtake each other.
  CHECK(attempts.is_new(channel(2, 8)));
  CHECK(attempts.is_new(session(2)));
  CHECK_FALSE(attempts.is_new(channel(3, 8)));
  CHECK_FALSE(attempts.is_new(channel(3, 9)));
  CHECK(attempts.is_new(channel(3, 10)));
  CHECK(attempts.highest() == 9);
}

TEST_CASE("another listener takes nothing that the first may have taken") {
  const Pass pass = pass_of();
  Attempts next(9);
  CHECK(next.highest() == 9);
  CHECK_FALSE(next.is_new(dial(pass, {kPreambleSession}, 9)));
  CHECK_FALSE(next.is_new(dial(pass, {kPreambleChannel, kFirstMember, 2, 1}, 8)));
  CHECK(next.is_new(dial(pass, {kPreambleSession}, 10)));
}

}  // namespace
}  // namespace om

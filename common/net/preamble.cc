// SPDX-License-Identifier: Apache-2.0
#include "common/net/preamble.h"

#include <stddef.h>
#include <string.h>

namespace om {
namespace {

// Constant time: the token is a secret.
bool same(const uint8_t (&a)[16], const uint8_t (&b)[16]) {
  uint8_t difference = 0;
  for (size_t i = 0; i < sizeof a; i++) difference |= static_cast<uint8_t>(a[i] ^ b[i]);
  return difference == 0;
}

}  // namespace

Preamble Pass::preamble(PreambleKind kind, uint32_t member) const {
  Preamble p{};
  p.magic = kPreambleMagic;
  p.kind = kind;
  p.member = member;
  memcpy(p.session, session, sizeof p.session);
  memcpy(p.token, token, sizeof p.token);
  p.from = from;
  p.to = to;
  return p;
}

bool Pass::opens(const Preamble& p) const {
  return p.magic == kPreambleMagic && p.member < kMembers && p.from == from && p.to == to &&
         same(p.session, session) && same(p.token, token);
}

}  // namespace om

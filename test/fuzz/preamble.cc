// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: preambles as a listener judges them (common/tls/pass.h). The first byte says what becomes of them:
//
//   0   the rest are preambles as they are; none of them opens, because nobody has the secret
//   1   the rest are preambles whose tags are made good, as by a keeper that lies; those that open name what exists,
//       have keys, and are taken once, in rising order
#include <string.h>

#include <algorithm>

#include "common/tls/pass.h"
#include "libom/abi/layout.h"
#include "test/fuzz/fuzz.h"

namespace {

using namespace om;
using om::fuzz::require;

SessionTerms terms() {
  SessionTerms t{};
  memcpy(t.session, "session", 7);
  memcpy(t.secret, "secret", 6);
  return t;
}

void check(const Pass& pass, const Preamble& p, Attempts& attempts) {
  require(p.magic == kPreambleMagic && p.member < kMembers && p.slot < kMaxSlots);
  require(p.kind >= kPreambleSession && p.kind <= kPreambleChannel);
  require(p.from == kPartyKeeper && p.to == kPartyDeputy && p.attempt != 0);
  const auto own = pass.keys(p, Pass::End::kListener), other = pass.keys(p, Pass::End::kDialler);
  require(own.ok() && other.ok() && own->cipher == other->cipher);
  require(memcmp(own->send, other->receive, sizeof own->send) == 0);
  require(memcmp(own->receive, other->send, sizeof own->send) == 0);
  const uint64_t before = attempts.highest();
  if (!attempts.is_new(p)) return;
  attempts.take(p);
  require(!attempts.is_new(p) && attempts.highest() == std::max(before, p.attempt));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Bytes input(data, size);
  const bool forged = (input.take<uint8_t>() & 1) != 0;
  static const Pass pass = Pass::make(terms(), kPartyKeeper, kPartyDeputy).value();
  static const SessionKeys keys = SessionKeys::make(terms().secret).value();
  Attempts attempts(3);
  for (const uint8_t *at = input.rest(), *end = at + input.rest_size();
       static_cast<size_t>(end - at) >= sizeof(Preamble); at += sizeof(Preamble)) {
    Preamble p;
    memcpy(&p, at, sizeof p);
    if (forged) {
      const PreambleTag tag = keys.preamble_tag({at, offsetof(Preamble, tag)});
      memcpy(p.tag, tag.data(), sizeof p.tag);
    }
    const bool opens = pass.opens(p);
    require(forged || !opens);
    if (opens) check(pass, p, attempts);
  }
  return 0;
}

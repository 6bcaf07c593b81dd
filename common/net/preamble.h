// SPDX-License-Identifier: Apache-2.0
//
// First bytes of every connection between the parties of a session (home's deputy and the keepers, of which there is
// one today): what the connection is, which session and member it belongs to, and the proof that the dialler knows the
// session's secret, which is not sent. Everybody on the way can read it, and send it again: common/tls/pass.h says how
// a listener tells.
#pragma once

#include <stdint.h>

namespace om {

constexpr uint64_t kPreambleMagic = 0x3358534f4d4f7031ull;  // "1pOMOSX3"

enum PreambleKind : uint32_t {
  kPreambleSession = 1,  // Cap'n Proto RPC, session.capnp
  kPreambleBulk = 2,     // frames of bulk.h
  kPreambleChannel = 3,  // Cap'n Proto RPC, executor.capnp, of one thread
};

enum Party : uint32_t { kPartyDeputy = 0, kPartyKeeper = 1 };

// A process of the session, by number. There is one today: what names a member is checked against these all the same.
constexpr uint32_t kMembers = 1;
constexpr uint32_t kFirstMember = 0;

// Little endian.
struct Preamble {
  uint64_t magic;
  uint32_t kind;  // PreambleKind
  uint32_t
      member;      // BULK, CHANNEL: the member it belongs to; SESSION: kFirstMember; below kMembers
  uint32_t slot;   // CHANNEL: thread slot; otherwise 0
  uint32_t epoch;  // CHANNEL: of the body; otherwise 0
  uint32_t from, to;  // Party: who dials whom
  uint8_t session[16];
  uint64_t
      attempt;  // rises with each connection that the dialler tries to make in this session; from 1
  uint8_t nonce[16];  // random
  uint32_t cipher;    // of what follows (common/tls/cipher.h)
  uint32_t pad;       // 0
  uint8_t tag[16];    // SessionKeys::preamble_tag() of all bytes before it
};
static_assert(sizeof(Preamble) == 96);

}  // namespace om

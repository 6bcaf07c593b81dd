// SPDX-License-Identifier: Apache-2.0
//
// First bytes of every connection between the parties of a session (home's deputy and the keepers, of which there is
// one today): what the connection is, which session and member it belongs to, and the proof that the dialler is
// allowed. A token belongs to a pair: who dials whom. A connection whose preamble is late, unknown or wrong is dropped
// without an answer.
#pragma once

#include <stdint.h>

namespace om {

constexpr uint64_t kPreambleMagic = 0x3258534f4d4f7031ull;  // "1pOMOSX2"

enum PreambleKind : uint32_t {
  kPreambleSession = 1,  // Cap'n Proto RPC, session.capnp
  kPreambleBulk = 2,     // frames of bulk.h
  kPreambleChannel = 3,  // Cap'n Proto RPC, executor.capnp, of one thread
};

enum Party : uint32_t { kPartyDeputy = 0, kPartyKeeper = 1 };

// A process of the session, by number. There is one today: what names a member is checked against these all the same.
constexpr uint32_t kMembers = 1;
constexpr uint32_t kFirstMember = 0;

struct Preamble {
  uint64_t magic;
  uint32_t kind;
  uint32_t slot;    // CHANNEL: thread slot
  uint32_t epoch;   // CHANNEL: of the body
  uint32_t member;  // BULK, CHANNEL: the member it belongs to; SESSION: kFirstMember; below kMembers
  uint8_t session[16];
  uint8_t token[16];
  uint32_t from, to;  // Party: who dials whom
};
static_assert(sizeof(Preamble) == 64);

// Credentials for connections of one session from one party to another: the dialler presents them, the listener checks
// them.
struct Pass {
  uint8_t session[16];
  uint8_t token[16];
  uint32_t from, to;

  // The preamble of a connection of `kind` that belongs to `member`.
  Preamble preamble(PreambleKind kind, uint32_t member) const;
  // Whether a connection with this preamble is accepted.
  bool opens(const Preamble& preamble) const;
};

}  // namespace om

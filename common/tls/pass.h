// SPDX-License-Identifier: Apache-2.0
//
// By what the parties of a session know each other's connections (common/net/preamble.h).
//
// A preamble proves by its tag that whoever made it knows the session's secret, and that nothing of it was changed. It
// does not prove that it has not been seen before: anybody on the way can send it again, with all that followed. That
// must not get him a connection, for three reasons: it would take the place of the one that is there; the keys of a
// connection follow from its preamble, so the listener would seal other contents with keys and record numbers that it
// has used, which gives both away; and old contents would be taken for new. So
//
//   - the dialler numbers its attempts in the session, whatever they are for, and never uses a number twice. It lives
//     as long as the session does: a keeper that has ended has left no body behind.
//   - the listener takes a number once. Dials for different slots overtake each other, so it keeps the highest number
//     for each kind, member and slot, and takes higher ones only. What an attacker holds back and delivers later is
//     too old as soon as the dialler, who did not wait for ever, has made another connection for the same purpose; and
//     before that it is just a slow connection whose keys nobody else has used.
//   - a deputy that takes over from one that has died knows nothing of what that one took. A clock would not tell it:
//     those of two machines differ by minutes, and a number of a second ago is as bad as one of last week. Therefore
//     a deputy writes the highest number of all to HomeState.attempt, in the memory of the process at home, *before* it
//     uses a connection: a write that either has happened or has not, that needs no other program, and that lasts
//     exactly as long as anybody can take over. The next deputy takes only numbers above it. A dial of the keeper's
//     that was under way to the dead deputy may be refused by that; the keeper sees the connection end and tries again,
//     with a higher number.
//
// The listener says nothing until the preamble is judged, and to whom it does not take it never says anything.
#pragma once

#include <stdint.h>

#include <map>
#include <tuple>

#include "common/net/preamble.h"
#include "common/tls/cipher.h"
#include "common/tls/session_keys.h"
#include "libom/abi/sockets.h"

namespace om {

constexpr size_t kSessionIdBytes = 16;

// What the parties of a session share; made by the deputy, passed on by the daemons.
struct SessionTerms {
  uint8_t session[kSessionIdBytes];     // names it; everybody may know
  uint8_t secret[kSessionSecretBytes];  // nobody else knows it
};

// For connections of one session from one party to another: the dialler makes preambles with it, the listener judges
// them. A value.
class Pass {
 public:
  // Errors: OpenSSL has no memory.
  static Result<Pass> make(const SessionTerms& terms, Party from, Party to);

  // What a connection is for. `slot`, `epoch`: of a channel.
  struct To {
    PreambleKind kind;
    uint32_t member = kFirstMember;
    uint32_t slot = 0, epoch = 0;
  };
  // The preamble of a connection that is attempt number `attempt`. Errors: no random numbers.
  Result<Preamble> preamble(const To& to, uint64_t attempt, SessionCipher cipher) const;
  // Whether it was made with this pass, for something that exists. Says nothing about its age: see Attempts.
  bool opens(const Preamble& preamble) const;

  // The keys of the dialler's or the listener's end; all zero with cipher kChannelPlain. Precondition: opens().
  enum class End { kDialler, kListener };
  Result<ChannelKeys> keys(const Preamble& preamble, End end) const;

 private:
  Pass(SessionKeys keys, const SessionTerms& terms, Party from, Party to);

  SessionKeys keys_;
  uint8_t session_[kSessionIdBytes];
  uint32_t from_, to_;
};

// The attempts that a listener has taken. Bounded: preambles that a Pass opens have few kinds, members and slots.
class Attempts {
 public:
  // `floor`: what another listener of the session has taken at most.
  explicit Attempts(uint64_t floor = 0) : floor_(floor), highest_(floor) {}

  bool is_new(const Preamble& preamble) const;
  void take(const Preamble& preamble);
  uint64_t highest() const { return highest_; }

 private:
  using Purpose = std::tuple<uint32_t, uint32_t, uint32_t>;  // kind, member, slot
  static Purpose purpose(const Preamble& p) { return {p.kind, p.member, p.slot}; }

  uint64_t floor_, highest_;
  std::map<Purpose, uint64_t> taken_;
};

}  // namespace om

// SPDX-License-Identifier: Apache-2.0
//
// First bytes of every connection that a keeper makes to a deputy's listener: what the connection is, which
// migration it belongs to, and the proof that the keeper is the one that the target node started for it.
// The deputy drops a connection whose preamble is late, unknown or wrong without an answer.
#pragma once

#include <stdint.h>

namespace om {

constexpr uint64_t kPreambleMagic = 0x3158534f4d4f7031ull;

enum PreambleKind : uint32_t {
  kPreambleSession = 1,  // Cap'n Proto RPC, session.capnp
  kPreambleBulk = 2,     // frames of bulk.h
  kPreambleChannel = 3,  // Cap'n Proto RPC, executor.capnp, of one thread
};

struct Preamble {
  uint64_t magic;
  uint32_t kind;
  uint32_t slot;   // CHANNEL: thread slot
  uint32_t epoch;  // CHANNEL: of the body
  uint32_t pad;
  uint8_t session[16];
  uint8_t token[16];
  uint64_t reserved;
};
static_assert(sizeof(Preamble) == 64);

}  // namespace om

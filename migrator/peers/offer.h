// SPDX-License-Identifier: Apache-2.0
//
// What a home node tells a target about a process that is to move there. Comes from the deputy (which runs as the
// process's owner, so the daemon checks every field, and replaces pid and uid by what it knows itself), goes to the
// peer, and from there to om-guest as JSON.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "common/cpu/cpu_features.h"
#include "common/net/address.h"
#include "common/net/json_line.h"
#include "common/schema/node.capnp.h"
#include "common/schema/offer.h"
#include "common/tls/cipher.h"

namespace om::migrator {

constexpr size_t kMaxCommandBytes = 4096;
constexpr size_t kSessionBytes = 16;
constexpr size_t kSecretBytes = 32;

struct Offer : OfferedProcess {
  std::string home_node;
  Address home;         // the deputy's listener, for the target to dial
  std::string session;  // kSessionBytes random bytes: names the migration
  std::string
      secret;  // kSecretBytes random bytes: deputy and keeper prove themselves and seal with it
  SessionCipher cipher;
};

// Reads a deputy's offer. Leaves home_node and home, except its port, to the caller.
Result<Offer> read_deputy_offer(wire::Offer::Reader from);

// The line for om-guest's stdin.
Json keeper_input(const Offer& offer);

void write_offer(const Offer& offer, wire::Offer::Builder to);
Result<Offer> read_offer(wire::Offer::Reader from);

}  // namespace om::migrator

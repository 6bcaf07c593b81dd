// SPDX-License-Identifier: Apache-2.0
//
// The static list of peers: one a line, "NAME ADDRESS:PORT", '#' starts a comment; an address may be a name that this
// machine's resolver knows. All nodes of a cluster can share one file: a node skips its own name. Read at start, on
// SIGHUP and by `peers.reload`; a file with an error changes nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/net/address.h"
#include "common/net/json_line.h"

namespace om::migrator {

struct Peer {
  std::string name;
  Address address;
  bool on_demand = false;  // a member: see peer_link.h
};

constexpr size_t kMaxPeers = 1024;

// Parses an address; Address::parse refuses names.
using LookUp = Result<Address> (*)(std::string_view text, uint16_t default_port);

// The Error names the line and says what is wrong.
Result<std::vector<Peer>> parse_peers(std::string_view text, std::string_view own_name,
                                      LookUp look_up = Address::parse);
// Looks up names at once.
Result<std::vector<Peer>> read_peers_file(const std::string& path, std::string_view own_name);

// The list [{"name":..., "address":...}] of the verb peers.set.
Result<std::vector<Peer>> peers_from_json(const Json& list, std::string_view own_name);

}  // namespace om::migrator

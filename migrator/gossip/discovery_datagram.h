// SPDX-License-Identifier: Apache-2.0
//
// What nodes ask and announce to find each other: an address, and the cluster that it belongs to. Not sealed and not
// believed: who is really there shows in TLS. Numbers are little endian:
//
//   "omd" | version 1 | kind 1 | major 2 | minor 2 | port 2 | cluster 32 | node 8 | name length 1 | name |
//   cluster's name length 1 | name | addresses 1 | address 16 ... | zeros
//
// Every datagram has kDiscoveryBytes, so that a forged question makes nobody send more than was sent to him. Later
// versions may put something where the zeros are.
#pragma once

#include <stdint.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/node_id.h"
#include "common/base/result.h"
#include "migrator/members/node_record.h"

namespace om::members {

constexpr size_t kDiscoveryBytes = 256;

using ClusterId = std::array<uint8_t, 32>;  // SHA-256 of the certificate of its CA, as DER

enum class DiscoveryKind : uint8_t {
  kAsk =
      1,  // members of this cluster, announce yourselves; by a member, or by a machine that wants to join
  kAnnounce = 2,  // a member of this cluster is here
};

struct DiscoveryDatagram {
  DiscoveryKind kind = DiscoveryKind::kAsk;
  uint16_t major = 0;  // protocol version
  uint16_t minor = 0;
  uint16_t port = 0;  // TCP; not 0
  ClusterId cluster{};
  NodeId node{};
  std::string name;          // as valid_node_name() wants it
  std::string cluster_name;  // the same
  std::vector<HostAddress>
      addresses{};  // at most kMaxAddresses; none: where the datagram comes from

  bool operator==(const DiscoveryDatagram&) const = default;
};

// kDiscoveryBytes. Preconditions: names, port and addresses within their ranges.
std::string encode_discovery(const DiscoveryDatagram& datagram);
// An Error for anything but a well-formed datagram of this version.
Result<DiscoveryDatagram> decode_discovery(std::string_view bytes);
// Whether the bytes claim to be one.
bool is_discovery(std::string_view bytes);

}  // namespace om::members

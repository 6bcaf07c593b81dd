// SPDX-License-Identifier: Apache-2.0
//
// Between the addresses of node records (HostAddress: IPv4 in the form of IPv6) and those of sockets (Address), and the
// addresses of this machine.
#pragma once

#include <stdint.h>

#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/net/address.h"
#include "migrator/members/node_record.h"

namespace om::members {

HostAddress host_address(const Address& address);
// An IPv4 address if it is one.
Address endpoint(const HostAddress& host, uint16_t port);
// ::ffff:a.b.c.d as the IPv4 address that it is; others as they are.
Address plain(const Address& address);
// An IPv4 address in the form that a socket of IPv6 sends to; others as they are.
Address mapped(const Address& address);

// A network interface that is up.
struct Interface {
  unsigned index = 0;
  std::string name;
  bool multicast = false;  // capable of it, and no loopback
  bool v4 = false;         // has an address of this family
  bool v6 = false;
  std::vector<HostAddress> addresses;  // neither loopback nor link-local
};
// All interfaces that are up. Errors: those of getifaddrs().
Result<std::vector<Interface>> interfaces();

// What a node that listens on `listen` says of itself: that address, or of a wildcard address the addresses of all
// interfaces, at most kMaxAddresses and of families that it listens to. Empty if there is none.
std::vector<HostAddress> own_addresses(const Address& listen);

}  // namespace om::members

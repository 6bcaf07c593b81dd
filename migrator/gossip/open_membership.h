// SPDX-License-Identifier: Apache-2.0
//
// The membership of a node that has credentials: who it is, under which keys its datagrams go, whom it asks first.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/base/own_directory.h"
#include "migrator/gossip/member_service.h"
#include "migrator/identity/credentials.h"

namespace om::members {

struct MembershipOptions {
  Address listen;      // where this node's TCP listener is bound, with its port
  uint16_t major = 0;  // protocol version
  uint16_t minor = 0;
  uint64_t features = 0;        // one bit each
  members::Settings machine{};  // timing, limits, who may deny
  // Bound to `listen`; without one it is opened.
  UniqueFd socket{};
  // Beside the contacts of the credentials; `self` is filled in.
  DiscoverySettings discovery{};
};

// Opens the UDP socket with the number of the TCP port at the same address, if none is given, takes the numbers of this
// life from `state` (start_numbers.h) and makes the service, which is still to be started. Errors: EADDRINUSE if
// another socket has the port; no address that others could reach; what cannot be read from or written to `state`.
Result<std::unique_ptr<MemberService>> open_membership(Loop& loop, const Clock& clock,
                                                       const migrator::Credentials& credentials,
                                                       const OwnDirectory& state,
                                                       MembershipOptions options, Links links,
                                                       MemberService::Events events);

}  // namespace om::members

// SPDX-License-Identifier: Apache-2.0
//
// Addresses behind names, and behind the service records of a domain. All block for as long as the resolver takes: for
// a thread of the pool. What they return is foreign and only says where to try.
#pragma once

#include <stdint.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/net/address.h"

namespace om::members {

constexpr size_t kMostOfName = 8;      // addresses of one name
constexpr size_t kMostOfService = 32;  // records that are followed

struct Target {
  std::string name;
  uint16_t port = 0;
  uint16_t priority = 0;
  bool operator==(const Target&) const = default;
};

// All addresses of "name", "name:port", "1.2.3.4", "[::1]:4700"; none if there are none.
std::vector<Address> addresses_of(const std::string& text, uint16_t default_port);

// The records in an answer of a name server, those to try first in front; an Error if it is none, or malformed.
Result<std::vector<Target>> parse_service_answer(std::string_view answer);

// The SRV records of _openmosix._tcp in `domain`, or in the domains that the resolver searches. `server` is asked
// instead of those of resolv.conf, for tests.
Result<std::vector<Target>> look_up_service(const std::string& domain,
                                            const std::optional<Address>& server = {});

}  // namespace om::members

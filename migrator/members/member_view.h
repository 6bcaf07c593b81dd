// SPDX-License-Identifier: Apache-2.0
//
// A member as other parts are shown it, whatever kind of membership knows it.
#pragma once

#include <stdint.h>

#include <string>
#include <vector>

#include "common/base/clock.h"
#include "migrator/members/member_table.h"
#include "migrator/members/node_record.h"

namespace om::members {

struct MemberView {
  NodeId id;
  std::string name;
  uint32_t number = 0;
  std::vector<HostAddress> addresses;
  uint16_t port = 0;
  uint16_t major = 0;
  uint16_t minor = 0;
  uint64_t features = 0;
  State state = State::kAlive;
  WallTime since;  // of the state, as this node has seen it
};

// What a node says of itself, in this state.
inline MemberView view_of(const NodeRecord& record, State state, WallTime since) {
  return {.id = record.id,
          .name = record.name,
          .number = record.number,
          .addresses = record.addresses,
          .port = record.port,
          .major = record.major,
          .minor = record.minor,
          .features = record.features,
          .state = state,
          .since = since};
}

}  // namespace om::members

// SPDX-License-Identifier: Apache-2.0
//
// How a member was emptied at the request of another one, on the wire (common/schema/cluster.capnp). What a peer sends
// is read within limits.
#pragma once

#include <stdint.h>

#include <string>
#include <vector>

#include "common/net/control.h"
#include "common/schema/cluster.capnp.h"

namespace om::migrator {

// How a node was emptied.
struct Emptied {
  struct Failed {
    int32_t pid = 0;
    std::string code, message;
  };
  uint32_t home = 0;           // own processes that came home
  uint32_t guests = 0;         // that are left
  std::vector<Failed> failed;  // own processes that did not come
};
// The Failure of both: REMOTE_CONTROL, or why the node could not do it.
using EmptyAnswer = Expected<Emptied, Failure>;
using OpenAnswer = Expected<bool, Failure>;  // whether it was closed

constexpr size_t kMaxLeftBehind = 256;

// At most kMaxLeftBehind of those that failed.
void write_emptied(const EmptyAnswer& answer, wire::Member::DrainResults::Builder to);
Result<EmptyAnswer> read_emptied(wire::Member::DrainResults::Reader from);
void write_opened(const OpenAnswer& answer, wire::Member::UndrainResults::Builder to);

Result<OpenAnswer> read_opened(wire::Member::UndrainResults::Reader from);

}  // namespace om::migrator

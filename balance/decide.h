// SPDX-License-Identifier: Apache-2.0
//
// The decisions: pure functions of a snapshot. No sockets, files, clocks or random numbers; the same snapshot gives the
// same actions in the same order.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "balance/snapshot.h"
#include "common/movable/reasons.h"

namespace om::balance {

// Why no process can go to `node` now, or nullopt: TARGET_UNREACHABLE for a node that is down or not a peer.
std::optional<Reason> refuse_target(const Snapshot& snapshot, const std::string& node);

// Calls all processes home: one action for each that is reachable, including those at home, which may be about to
// leave. In the order of the snapshot.
std::vector<Action> recall_all(const Snapshot& snapshot);

}  // namespace om::balance

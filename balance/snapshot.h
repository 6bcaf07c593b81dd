// SPDX-License-Identifier: Apache-2.0
//
// What a decision is made from: everything that this node knows at one moment, as values. Whoever makes one (the
// daemon, a test) has done all the looking; whoever decides looks at nothing else.
#pragma once

#include <stdint.h>

#include <string>
#include <vector>

#include "common/proc/process_id.h"

namespace om::balance {

// This node or a peer, as it last said of itself.
struct NodeView {
  std::string name;
  bool up = false;           // it can be asked; this node always can
  std::string why_down;      // if not
  uint32_t cpus = 0;         // that guests may run on
  uint32_t load_centis = 0;  // 1-minute load average * 100
  uint64_t memory_bytes = 0;
  uint64_t free_bytes = 0;
  uint32_t guests = 0;
};

// A process of this node that has left, or has somebody who would have it leave.
struct ProcessView {
  ProcessId id;
  std::string at;         // a node's name
  bool reachable = true;  // it has a deputy, which can be told to move it
};

struct Snapshot {
  std::string self;  // this node's name
  std::vector<NodeView> nodes;
  std::vector<ProcessView> processes;
};

// A move to be asked for. It may be refused: what is decided is not certain to happen.
struct Action {
  ProcessId process;
  std::string to;  // a node's name

  bool operator==(const Action&) const = default;
};

}  // namespace om::balance

// SPDX-License-Identifier: Apache-2.0
//
// The input of decisions: everything that this node knows at one moment, as values. The maker of a snapshot (the
// daemon, a test) collects all facts; decisions use nothing else.
#pragma once

#include <stdint.h>

#include <string>
#include <vector>

#include "common/proc/process_id.h"

namespace om::balance {

// This node or a peer, as it last described itself.
struct NodeView {
  std::string name;
  bool up = false;           // it can be reached; this node always can
  std::string why_down;      // if not up
  uint32_t cpus = 0;         // CPUs that guests may run on
  uint32_t load_centis = 0;  // 1-minute load average * 100
  uint64_t memory_bytes = 0;
  uint64_t free_bytes = 0;
  uint32_t guests = 0;
};

// A process of this node that has left or is about to: one with a deputy, or whose deputy was lost.
struct ProcessView {
  ProcessId id;
  std::string at;         // a node's name
  bool reachable = true;  // it has a deputy that can be told to move it
};

struct Snapshot {
  std::string self;  // this node's name
  std::vector<NodeView> nodes;
  std::vector<ProcessView> processes;
};

// A move to request. It may be refused: a decision does not ensure that it happens.
struct Action {
  ProcessId process;
  std::string to;  // a node's name

  bool operator==(const Action&) const = default;
};

}  // namespace om::balance

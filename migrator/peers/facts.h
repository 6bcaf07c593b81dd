// SPDX-License-Identifier: Apache-2.0
//
// What a node says about itself in hello, and the input of admission. NodeFacts travels as NodeInfo; a peer's is only
// shown or compared, never trusted.
#pragma once

#include <stdint.h>

#include <functional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/schema/node.capnp.h"

namespace om::migrator {

struct NodeFacts {
  std::string name;
  uint32_t protocol = 0;
  std::string build;
  uint32_t cpus = 0;  // that guests may run on
  std::vector<std::string> cpu_features;
  uint64_t memory_bytes = 0;
  uint64_t free_bytes = 0;   // MemAvailable
  uint32_t load_centis = 0;  // 1-minute load average * 100
  uint32_t guests = 0;
  std::string kernel;  // uname release
  std::string boot_id;
  uint32_t keeper_gate_abi = 0;
  uint64_t life = 0;  // another number after each start of the daemon; 0: it has none
};

// The facts that do not change while the daemon runs.
Result<NodeFacts> read_fixed_facts(std::string name);
// Updates free_bytes and load_centis. A file that cannot be read leaves 0, and then nothing is admitted.
Result<void> refresh_facts(NodeFacts& facts);

// This node's facts: the fixed ones, and the others as of the moment of the call.
class OwnFacts {
 public:
  // guests: returns their number.
  OwnFacts(NodeFacts fixed, std::function<uint32_t()> guests)
      : fixed_(std::move(fixed)), guests_(std::move(guests)) {}

  const NodeFacts& fixed() const { return fixed_; }
  NodeFacts now() const;

 private:
  NodeFacts fixed_;
  std::function<uint32_t()> guests_;
};

void write_info(const NodeFacts& facts, wire::NodeInfo::Builder to);
Result<NodeFacts> read_info(wire::NodeInfo::Reader from);

}  // namespace om::migrator

// SPDX-License-Identifier: Apache-2.0
//
// Nodes on the same links that are no members and why: those of other clusters and those of another major version.
// Nothing of it is proved; it is only shown (`om nodes --all`). Bounded.
#pragma once

#include <stdint.h>

#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/net/address.h"
#include "migrator/gossip/discovery_datagram.h"

namespace om::members {

struct Sighting {
  Address address;
  NodeId node;
  std::string name;
  ClusterId cluster{};
  std::string cluster_name;
  uint16_t major = 0;
  MonotonicTime seen;
};

class Sightings {
 public:
  static constexpr size_t kMost = 256;
  static constexpr std::chrono::minutes kForget{10};

  // Replaces an earlier sighting of the same node of the same cluster; if there is no room, the oldest of all.
  void add(Sighting sighting);
  // Those of the last kForget, in the order of their names.
  std::vector<Sighting> recent(MonotonicTime now) const;

 private:
  std::vector<Sighting> all_;
};

}  // namespace om::members

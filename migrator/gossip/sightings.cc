// SPDX-License-Identifier: Apache-2.0
#include "migrator/gossip/sightings.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace om::members {

void Sightings::add(Sighting sighting) {
  auto place = std::find_if(all_.begin(), all_.end(), [&](const Sighting& known) {
    return known.node == sighting.node && known.cluster == sighting.cluster;
  });
  if (place == all_.end() && all_.size() >= kMost) {
    place = std::min_element(all_.begin(), all_.end(),
                             [](const Sighting& a, const Sighting& b) { return a.seen < b.seen; });
  }
  if (place == all_.end()) {
    all_.push_back(std::move(sighting));
  } else {
    *place = std::move(sighting);
  }
}

std::vector<Sighting> Sightings::recent(MonotonicTime now) const {
  std::vector<Sighting> recent;
  std::copy_if(all_.begin(), all_.end(), std::back_inserter(recent),
               [&](const Sighting& sighting) { return now - sighting.seen < kForget; });
  std::sort(recent.begin(), recent.end(), [](const Sighting& a, const Sighting& b) {
    return std::tie(a.cluster_name, a.name, a.node) < std::tie(b.cluster_name, b.name, b.node);
  });
  return recent;
}

}  // namespace om::members

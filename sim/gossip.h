// SPDX-License-Identifier: Apache-2.0
//
// How old what nodes know of each other is, with the shipped load table: each node tells one other each interval, at a
// phase of its own. Beside it the formula of Amar, Barak, Drezner and Okun for the same window, where all are kept.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace om::sim {

struct GossipSettings {
  size_t nodes = 64;
  size_t kept = 128;
  double loss = 0;
  unsigned rounds = 0;  // intervals; 0: as many as it takes to settle
  uint64_t seed = 1;
};

struct GossipFigures {
  double mean_age = 0;     // of all entries of all nodes, in intervals
  double worst_age = 0;    // mean over nodes of their oldest one
  double known = 0;        // entries of a node, mean
  double bytes_per_s = 0;  // of a node, with headers and seal
};

GossipFigures measure_gossip(const GossipSettings& settings);
// Mean age in intervals of all entries, if `window` go with each message and n nodes are all kept.
double expected_age(double nodes, double window);

}  // namespace om::sim

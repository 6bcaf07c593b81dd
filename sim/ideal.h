// SPDX-License-Identifier: Apache-2.0
//
// What no cluster can reach: one machine with all CPUs of all nodes, on which every job gets its share of the fastest
// CPUs that are left, without moves, calls or limits of memory.
#pragma once

#include "sim/scenario.h"

namespace om::sim {

struct Ideal {
  double mean_slowdown =
      0;  // of the counted jobs: time in the system / time alone on the fastest CPU
  double makespan_s = 0;
};

Ideal ideal_of(const Scenario& scenario);
// Speed of the fastest node.
double fastest_speed(const Scenario& scenario);

}  // namespace om::sim

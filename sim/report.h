// SPDX-License-Identifier: Apache-2.0
//
// The figures of a simulated run, as one line of JSON.
#pragma once

#include <string>

#include "sim/world.h"

namespace om::sim {

// `took_s`: how long it took to compute.
std::string report(const Scenario& scenario, const Settings& settings, const World& world,
                   double took_s);

}  // namespace om::sim

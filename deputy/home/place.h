// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <vector>

#include "common/movable/verdict.h"
#include "common/proc/maps.h"

namespace om::deputy {

// Whether nothing is mapped in [lo, hi).
bool is_free(const std::vector<proc::Mapping>& maps, uint64_t lo, uint64_t hi);
// A free place for an arena of `slots` slots, aligned to the slot size: below libom at `image_lo` and the other
// libraries, and a good way below, because right below them the kernel puts what the program maps until it is stopped.
// Prefers a place where the window of its executors is free as well: what they find no room for there comes home.
// INTERNAL if there is none.
Verdict<uint64_t> find_place(const std::vector<proc::Mapping>& maps, uint64_t image_lo,
                             uint32_t slots);

}  // namespace om::deputy

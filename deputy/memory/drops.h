// SPDX-License-Identifier: Apache-2.0
//
// What of the program's memory home gives back (libom/stub/drop.cc): the list of a departure, which executors go
// through once the body has acted.
#pragma once

#include <span>
#include <vector>

#include "common/movable/verdict.h"
#include "libom/abi/memory.h"

namespace om::deputy {

// Entries that libom's memory has room for. More than a process has mappings, unless vm.max_map_count has been raised
// a lot.
constexpr size_t kMaxDrops = kControlPlanSize / sizeof(Range);

// `memory` without the pages of `pins`, both in the order of addresses. HOME_MEMORY if it is too much for libom: a part
// of it would stay behind and show old contents.
Verdict<std::vector<Range>> plan_drops(std::span<const Range> memory, std::span<const Range> pins);

}  // namespace om::deputy

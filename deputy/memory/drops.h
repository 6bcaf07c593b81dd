// SPDX-License-Identifier: Apache-2.0
//
// The part of the program's memory that home gives back (libom/stub/drop.cc): a list made at departure, which executors
// go through once the body has acted.
#pragma once

#include <span>
#include <vector>

#include "common/movable/verdict.h"
#include "libom/abi/memory.h"

namespace om::deputy {

// Entries that libom's memory has room for. More than a process has mappings, unless vm.max_map_count has been raised
// a lot.
constexpr size_t kMaxDrops = kControlPlanSize / sizeof(Range);

// `memory` without the pages of `pins`, both in address order. HOME_MEMORY if the list is too long for libom: some
// memory would stay behind and show old contents.
Verdict<std::vector<Range>> plan_drops(std::span<const Range> memory, std::span<const Range> pins);

}  // namespace om::deputy

// SPDX-License-Identifier: Apache-2.0
//
// What the restorer of a body has to build.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/layout.h"

namespace om {

// What the restorer has to build; written by the keeper at arena + kControlPlan.
enum PlanKind : uint32_t {
  kPlanUnmap = 1,     // [lo, hi) of the fresh process goes away
  kPlanMoveVdso = 2,  // [lo, hi) moves to `arg`
  kPlanMap = 3,       // private anonymous, writable until kPlanProtect
  kPlanReserve = 4,   // PROT_NONE placeholder
  kPlanProtect = 5,   // final protection, after the fill
  kPlanView = 7,      // memory from `arg` on, of an object, is to be seen here, too
  kPlanGuard = 6,     // every touch of [lo, hi) is to be a fault, whatever its protection becomes
};
struct PlanEntry {
  uint64_t lo, hi;
  uint32_t kind;
  uint32_t prot;
  uint64_t arg;
};
static_assert(sizeof(PlanEntry) == 32);
struct RestorePlan {
  uint64_t magic;
  uint32_t before;  // entries to carry out before the fill
  uint32_t after;   // entries after it, following the first
  // PlanEntry[before + after] follows
};
constexpr uint64_t kPlanMagic = 0x4e414c504d4f5031ull;
constexpr uint32_t kMaxPlanEntries = (kControlPlanSize - sizeof(RestorePlan)) / sizeof(PlanEntry);

}  // namespace om

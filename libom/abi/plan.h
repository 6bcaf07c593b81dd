// SPDX-License-Identifier: Apache-2.0
//
// The plan of a body's address space, for the restorer.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/layout.h"

namespace om {

// What the restorer has to build; the keeper writes it at arena + kControlPlan.
enum PlanKind : uint32_t {
  kPlanUnmap = 1,     // unmap [lo, hi) of the fresh process
  kPlanMoveVdso = 2,  // move [lo, hi) to `arg`
  kPlanMap = 3,       // private anonymous, writable until kPlanProtect
  kPlanReserve = 4,   // PROT_NONE placeholder
  kPlanProtect = 5,   // final protection, after the fill
  kPlanView = 7,      // show the object's memory from address `arg` on here, too
  kPlanGuard = 6,     // every access to [lo, hi) must fault, whatever its protection becomes
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

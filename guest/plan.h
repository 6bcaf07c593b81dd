// SPDX-License-Identifier: Apache-2.0
//
// What libom/restore does to a fresh process to make it the body's address space (libom/abi/plan.h). Pure.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <array>
#include <span>
#include <vector>

#include "common/image/description.h"
#include "common/movable/verdict.h"
#include "common/proc/maps.h"
#include "guest/checks.h"
#include "libom/abi/plan.h"

namespace om::guest {

// This node's vDSO in a fresh body.
struct LocalVdso {
  uint64_t lo = 0, hi = 0;  // vvar and vdso together
  uint64_t text = 0;        // start of the vdso mapping; 0: there is none
};

struct MappingPlan {
  std::vector<PlanEntry> before, after;  // the pages are written
  LocalVdso vdso;
};

// `fresh`: the mappings that the launcher has left. Preconditions: check_image() has passed. NO_MEMORY: too many
// mappings; INTERNAL.
Verdict<MappingPlan> plan_mappings(const std::vector<proc::Mapping>& fresh,
                                   const Description& image, const Bounds& bounds);

// The plan as it lies in the body.
std::vector<std::byte> plan_bytes(const MappingPlan& plan);

// Where the vDSO is moved to.
inline uint64_t vdso_moved_to(const Bounds& bounds) { return bounds.arena + kControlVdso; }

// Addresses of its functions there, by VdsoFunction; 0: there is none. `code`: the vdso mapping's bytes.
Result<std::array<uint64_t, 8>> vdso_functions(std::span<const std::byte> code,
                                               const LocalVdso& vdso, const Bounds& bounds);

}  // namespace om::guest

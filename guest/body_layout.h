// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "common/cpu/xstate.h"
#include "guest/checks.h"

namespace om::guest {

// What lies where in a body, as home described it and Builder checked it.
struct BodyLayout {
  Bounds bounds;
  uint32_t member = 0, epoch = 0;
  XstateLayout home_xstate{}, local_xstate{};
  uint64_t stack_lo = 0, stack_hi = 0;  // of the program's stack with all its room
};

}  // namespace om::guest

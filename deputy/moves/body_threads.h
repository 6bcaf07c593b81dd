// SPDX-License-Identifier: Apache-2.0
//
// The threads of a body that comes home, as its keeper describes them. The bytes come from a foreign node: whatever has
// no place at home is found here, before home decides to be home.
#pragma once

#include <cstddef>
#include <vector>

#include "common/cpu/xstate.h"
#include "common/image/description.h"
#include "common/movable/verdict.h"
#include "libom/abi/thread.h"

namespace om::deputy {

struct ReturningThreads {
  std::vector<ThreadState> states;             // no slot twice, all below `slots`
  std::vector<std::vector<std::byte>> xsaves;  // of each, in the layout of this node
};

// INTERNAL. `layout`: of this node; `slots`: how many the process has at home.
Verdict<ReturningThreads> read_threads(const Description& body, const XstateLayout& layout,
                                       uint32_t slots);

}  // namespace om::deputy

// SPDX-License-Identifier: Apache-2.0
//
// What lies in libom's memory in a body before it runs, as home describes it: the body's block and one for each thread
// (libom/abi/body.h). Pure.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "common/image/description.h"
#include "common/movable/verdict.h"
#include "guest/body_layout.h"
#include "libom/abi/body.h"

namespace om::guest {

// Preconditions: check_image() has passed. The caller fills in the clock page.
std::unique_ptr<BodyState> body_state(const Description& image, const BodyLayout& layout);

struct ThreadBlock {
  BodyThread thread;
  std::vector<std::byte> xsave;  // as this node has it
};
// CPU_FEATURE: this node has no place for its vector state. INTERNAL.
Verdict<ThreadBlock> thread_block(const Description::Thread& thread, const BodyLayout& layout);

}  // namespace om::guest

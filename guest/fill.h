// SPDX-License-Identifier: Apache-2.0
//
// Writes the pages that home sends for a new body to where home has described memory. Runs as a task: home keeps
// sending while the steps between build and filled wait for other things.
#pragma once

#include <kj/async-io.h>
#include <stdint.h>

#include <optional>
#include <vector>

#include "common/image/page_source.h"
#include "common/movable/verdict.h"
#include "common/proc/process_memory.h"
#include "guest/session.h"

namespace om::guest {

class Fill {
 public:
  // `most`: how many pages are accepted. `in` and `memory` must last until finish().
  void start(kj::AsyncInputStream& in, const ProcessMemory& memory,
             std::vector<ExpectedPages::Place> places, uint64_t most);
  // Waits for the end mark. INTERNAL, NO_MEMORY, TARGET_UNREACHABLE; `pages`: how many home says it has sent.
  Step finish(Session& session, uint64_t pages);

 private:
  kj::Promise<void> fill();
  Step put(const PageSource::Frame& frame) const;

  std::optional<PageSource> source_;
  const ProcessMemory* memory_ = nullptr;
  uint64_t most_ = 0;
  std::optional<Reason> failed_;
  kj::Promise<void> filling_ = nullptr;
};

}  // namespace om::guest

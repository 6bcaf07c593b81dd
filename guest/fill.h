// SPDX-License-Identifier: Apache-2.0
//
// Pages that home sends for a new body, written where home has described memory. As a task: home goes on sending while
// the steps between build and filled wait for other things.
#pragma once

#include <kj/async-io.h>
#include <stdint.h>

#include <optional>

#include "common/image/bulk.h"
#include "common/movable/verdict.h"
#include "common/proc/process_memory.h"
#include "guest/session.h"

namespace om::guest {

class Fill {
 public:
  // `most`: pages that are taken. `in` and `memory` must last until finish().
  void start(kj::AsyncInputStream& in, const ProcessMemory& memory, BulkPlaces places,
             uint64_t most);
  // Waits for the end mark. INTERNAL, NO_MEMORY, TARGET_UNREACHABLE; `pages`: what home says it has sent.
  Step finish(Session& session, uint64_t pages);

 private:
  kj::Promise<void> fill();
  kj::Promise<void> take();

  kj::AsyncInputStream* in_ = nullptr;
  const ProcessMemory* memory_ = nullptr;
  BulkPlaces places_;
  uint64_t pages_ = 0, most_ = 0;
  BulkHeader frame_{};
  kj::Array<kj::byte> data_ = kj::heapArray<kj::byte>(kBulkMaxBytes);
  std::optional<Reason> failed_;
  kj::Promise<void> filling_ = nullptr;
};

}  // namespace om::guest

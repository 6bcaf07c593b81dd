// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: /proc/PID/status (common/proc/status.h). A process chooses its own name.
#include "common/proc/status.h"

#include "test/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto status = om::proc::parse_status(om::fuzz::text_of(data, size));
  if (status) {
    om::fuzz::require(status->name.size() <= size && status->groups.size() <= size);
    om::fuzz::require(status->ns_pids.size() <= size);
  }
  return 0;
}

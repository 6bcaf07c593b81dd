// SPDX-License-Identifier: Apache-2.0
//
// What guests may use of this node. 0: no limit.
#pragma once

#include <stdint.h>

#include <string_view>

#include "common/proc/cpu_share.h"

namespace om::migrator {

struct GuestResources {
  proc::CpuShare cpu = proc::CpuShare::kNormal;  // guest_cpu: of each, and of all together
  uint64_t memory_bytes = 0;                     // guest_memory_mib: of each
  uint64_t all_memory_bytes = 0;                 // guests_memory_mib: of all together
  uint32_t threads = 0;                          // guest_threads
  uint32_t all_threads = 0;                      // guests_threads

  // Whether one of them is a matter of that controller of control groups: "memory", "pids" or "cpu".
  bool needs(std::string_view controller) const {
    if (controller == "memory") return memory_bytes != 0 || all_memory_bytes != 0;
    if (controller == "pids") return threads != 0 || all_threads != 0;
    return controller == "cpu" && cpu != proc::CpuShare::kNormal;
  }
};

// What the guests that are here use.
struct GuestUsage {
  uint64_t memory_bytes = 0;
  uint64_t new_bytes = 0;  // of them, those of guests for which memory is still reserved
  uint32_t threads = 0;
};

}  // namespace om::migrator

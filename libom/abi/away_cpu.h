// SPDX-License-Identifier: Apache-2.0
//
// CPU time that a process has used in bodies. The kernel at home does not know it, so libom's exported clocks
// add it. Lies in libom's data (Anchor::away_cpu); the deputy writes it at each homecoming, all threads
// stopped. A body has a copy of what was true when it left home: what it uses itself, its gate adds.
#pragma once

#include <stdint.h>

namespace om {

constexpr uint32_t kMaxAwayThreads = 512;

struct AwayCpu {
  uint64_t total_ns;  // of the whole process; only grows
  uint32_t count;     // threads below that have used time away and live
  uint32_t pad;
  struct {
    int32_t tid;  // as the program sees it
    uint32_t pad;
    uint64_t ns;
  } thread[kMaxAwayThreads];
};

}  // namespace om

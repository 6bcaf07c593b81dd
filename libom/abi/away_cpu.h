// SPDX-License-Identifier: Apache-2.0
//
// CPU time that a process has used in bodies. The kernel at home does not count it, so libom's exported clocks
// add it. Lies in libom's data (Anchor::away_cpu); the deputy writes it at each homecoming, with all threads
// stopped. A body has the values of its departure; its gate adds what the body itself uses.
#pragma once

#include <stdint.h>

namespace om {

constexpr uint32_t kMaxAwayThreads = 512;

struct AwayCpu {
  uint64_t total_ns;  // of the whole process; only grows
  uint32_t count;     // entries below: live threads that have used time away
  uint32_t pad;
  struct {
    int32_t tid;  // as the program sees it
    uint32_t pad;
    uint64_t ns;
  } thread[kMaxAwayThreads];
};

}  // namespace om

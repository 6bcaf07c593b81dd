// SPDX-License-Identifier: Apache-2.0
//
// Facts about this node and the clocks, for the deputy's descriptions.
#pragma once

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

namespace om::deputy {

inline uint64_t now_ns(clockid_t clock) {
  timespec ts{};
  clock_gettime(clock, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * 1000000000u + static_cast<uint64_t>(ts.tv_nsec);
}

// Highest possible CPU id + 1 (/sys/devices/system/cpu/possible).
uint32_t possible_cpus();

// FDSize of a process; 64 if it cannot be read.
uint32_t fd_size(pid_t pid);

}  // namespace om::deputy

// SPDX-License-Identifier: Apache-2.0
//
// Identifies a process for good: pid plus start time. A pid alone may have been reused by the time it is looked up.
// Daemons record these in their state directory; `om cluster dev stop` ends exactly those processes.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace om {

struct ProcessId {
  pid_t pid = 0;
  uint64_t start_ticks = 0;  // /proc/PID/stat field 22: clock ticks since boot

  bool operator==(const ProcessId&) const = default;
  bool operator<(const ProcessId& other) const {
    return pid != other.pid ? pid < other.pid : start_ticks < other.start_ticks;
  }

  // ESRCH if there is no such process.
  static Result<ProcessId> of(pid_t pid);

  // Whether it is still the same process, and not a zombie.
  bool alive() const;

  // A pidfd of exactly this process; ESRCH if it is gone or the pid has been reused.
  Result<UniqueFd> open() const;
};

}  // namespace om

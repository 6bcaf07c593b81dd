// SPDX-License-Identifier: Apache-2.0
//
// What a process of this machine has used and does now, read from /proc with as few files as possible. Any thread.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <optional>
#include <string_view>

#include "common/base/result.h"
#include "common/proc/process_id.h"

namespace om::migrator {

struct Usage {
  ProcessId id;
  uint64_t cpu_ms = 0;     // user + system, ever
  uint64_t system_ms = 0;  // of that
  uint64_t faults = 0;     // minor page faults, ever
  uint64_t rss_bytes = 0;
  uint32_t threads = 0;
  double running =
      0;  // threads that run or could; of several, if not looked at closely, only the first counts
  // Voluntary context switches of all threads, ever; only if it was looked at closely.
  std::optional<uint64_t> switches;
};

// Reads one file; closely: also its threads, of many only some, from which the others are inferred. ESRCH if it is
// gone.
Result<Usage> read_usage(pid_t pid, bool closely);

// From the text of /proc/PID/status; nullopt if there is no such line.
std::optional<uint64_t> parse_switches(std::string_view status);

}  // namespace om::migrator

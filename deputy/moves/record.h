// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>

#include "common/movable/verdict.h"

namespace om::deputy {

// What `om migrate --json` prints of one move.
struct MoveRecord {
  pid_t pid = 0;
  std::string from, to;  // nodes
  std::string mode = "eager";
  double freeze_ms = 0, total_ms = 0;
  uint64_t bytes_raw = 0, bytes_wire = 0, pages = 0, threads = 0;
  std::string result = "failed";  // moved, refused, failed
  std::optional<Reason> reason;   // why it was not moved

  // Records the outcome, after `took`.
  void conclude(const Step& done, std::chrono::steady_clock::duration took);
  bool moved() const { return result == "moved"; }
};

}  // namespace om::deputy

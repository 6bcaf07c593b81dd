// SPDX-License-Identifier: Apache-2.0
//
// Limits how many log lines one user or node may cause: a token bucket. Lines beyond it are counted, and the next line
// that may be written says how many are missing. Loop thread only.
#pragma once

#include <stdint.h>

#include <map>
#include <string>

#include "common/base/clock.h"

namespace om {

class LogBudget {
 public:
  static constexpr uint32_t kBurst = 100;     // lines at once
  static constexpr uint32_t kPerSecond = 5;   // sustained
  static constexpr size_t kMaxOwners = 1024;  // buckets kept

  explicit LogBudget(const Clock& clock) : clock_(clock) {}

  // Whether a line caused by `owner` may be written. If so, `missing` is the number dropped since the last one.
  bool take(const std::string& owner, uint64_t& missing);

 private:
  struct Store {
    double lines = kBurst;
    uint64_t missing = 0;
    MonotonicTime filled;
  };
  const Clock& clock_;
  std::map<std::string, Store> stores_;
};

}  // namespace om

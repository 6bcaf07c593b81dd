// SPDX-License-Identifier: Apache-2.0
//
// How many lines of the log one user or node may cause: a store of lines that fills up slowly. What goes beyond it is
// counted, and the next line that may be written says how many are missing. From the loop's thread only.
#pragma once

#include <stdint.h>

#include <map>
#include <string>

#include "common/base/clock.h"

namespace om {

class LogBudget {
 public:
  static constexpr uint32_t kBurst = 100;     // lines at once
  static constexpr uint32_t kPerSecond = 5;   // on and on
  static constexpr size_t kMaxOwners = 1024;  // as many stores are kept

  explicit LogBudget(const Clock& clock) : clock_(clock) {}

  // Whether a line that `owner` has caused may be written. If so, `missing` is how many could not since the last one.
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

// SPDX-License-Identifier: Apache-2.0
//
// om trace: reads what executors have recorded (libom/abi/trace.h) and puts it into words, using the rows of the call
// table. Reading disturbs nobody.
#pragma once

#include <stdint.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "deputy/home/home_side.h"

namespace om::deputy {

class Tracing {
 public:
  explicit Tracing(HomeSide& home) : home_(home) {}

  // Forwarded calls from number `cursor` on, and the counts: what `om trace` asks for again and again. Executors record
  // them from the first question until nobody has asked for two seconds. Empty unless the process is `away`, at the
  // node `at_node`.
  nlohmann::json read(uint64_t cursor, const std::string& at_node, bool away);
  // Called now and then while the process is away.
  void stop_if_unread();

 private:
  HomeSide& home_;
  std::chrono::steady_clock::time_point asked_{};  // last; none: nothing is recorded
};

}  // namespace om::deputy

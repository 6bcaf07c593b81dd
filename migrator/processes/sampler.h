// SPDX-License-Identifier: Apache-2.0
//
// Measures the CPU use of processes every few seconds, for ProcessTable::cpu_percent().
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "common/uv/loop.h"
#include "migrator/processes/process_table.h"

namespace om::migrator {

class Sampler {
 public:
  // others: returns processes to measure besides those that the table has noted.
  Sampler(Loop& loop, ProcessTable& processes, std::function<std::vector<ProcessId>()> others);
  ~Sampler();

  // Takes one sample, off the loop because there may be many processes. Does nothing if the last one has not finished.
  void sample();

 private:
  Loop& loop_;
  ProcessTable& processes_;
  std::function<std::vector<ProcessId>()> others_;
  bool sampling_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for callbacks from the pool
};

}  // namespace om::migrator

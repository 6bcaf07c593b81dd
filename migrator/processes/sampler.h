// SPDX-License-Identifier: Apache-2.0
//
// Measures what processes use of the CPU, every few seconds, for ProcessTable::cpu_percent().
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "common/uv/loop.h"
#include "migrator/processes/process_table.h"

namespace om::migrator {

class Sampler {
 public:
  // others: processes that are measured besides those that the table has noted.
  Sampler(Loop& loop, ProcessTable& processes, std::function<std::vector<ProcessId>()> others);
  ~Sampler();

  // One sample, off the loop: there may be many processes. Nothing, if the last one is not done yet.
  void sample();

 private:
  Loop& loop_;
  ProcessTable& processes_;
  std::function<std::vector<ProcessId>()> others_;
  bool sampling_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what comes back from the pool
};

}  // namespace om::migrator

// SPDX-License-Identifier: Apache-2.0
//
// Keeps Activities up to date: twice a second it finds out which processes are this node's, and reads those whose turn
// it is, on threads of the pool. On the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "common/base/clock.h"
#include "common/uv/loop.h"
#include "migrator/processes/activity.h"
#include "migrator/processes/census.h"

namespace om::migrator {

class Sampler {
 public:
  static constexpr Milliseconds kPeriod{500};

  // Processes of this node that have left, and what is known of each; nullopt: nothing yet.
  using Away = std::function<std::map<ProcessId, std::optional<AwayUsage>>()>;

  Sampler(Loop& loop, const Clock& clock, Census& census, Away away);
  ~Sampler();

  const Activities& activities() const { return activities_; }

  // 100 is one whole CPU, over the last interval; averaged since the process started if there is none yet.
  double cpu_percent(const ProcessInfo& process) const;

  // How many threads could run now of those processes that have used CPU lately, and of the children of these
  // processes; told from the loop's thread, if this object still exists. Looks at kMostCounted, and infers the others.
  static constexpr size_t kMostCounted = 64;
  void count_running(std::vector<pid_t> parents, std::function<void(double)> told);

 private:
  void sample();
  void read(std::vector<ProcessId> members);

  Loop& loop_;
  const Clock& clock_;
  Census& census_;
  Away away_;
  Activities activities_;
  bool sampling_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for callbacks from the pool
  Timer timer_;
};

}  // namespace om::migrator

// SPDX-License-Identifier: Apache-2.0
//
// Reads the load of this machine, or of what this node alone has on it, for Load. On the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/uv/loop.h"
#include "migrator/load/load.h"

namespace om::migrator {

class LoadSampler {
 public:
  static constexpr Milliseconds kRunningPeriod{100};
  static constexpr unsigned kMemoryEvery = 10;  // so many of these periods: once a second

  // Counts the runnable threads of this node and tells their number, from the loop's thread.
  using Told = std::function<void(double threads)>;
  using Count = std::function<void(Told told)>;

  // `count`: instead of all that run on the machine; empty: those. At most one count is under way.
  LoadSampler(Loop& loop, const Clock& clock, Count count);
  ~LoadSampler();

  const Load& load() const { return load_; }
  double running() const { return load_.running(clock_.now()); }

 private:
  void sample();
  void read_running();
  void read_memory();
  // Logs each failure once.
  void complain(const Error& error, bool& complained);

  const Clock& clock_;
  Count count_;
  Load load_;
  unsigned turns_ = 0;
  bool counting_ = false;
  bool no_running_ = false, no_memory_ = false;  // complained of
  bool has_pressure_ = true;                     // until the kernel says that it has not
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for counts that end later
  Timer timer_;
};

}  // namespace om::migrator

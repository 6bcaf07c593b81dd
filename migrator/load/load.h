// SPDX-License-Identifier: Apache-2.0
//
// The load of a node at this moment: readings and times go in, figures come out. migrator/load/load_sampler.h reads.
#pragma once

#include <stdint.h>

#include <deque>
#include <optional>
#include <utility>

#include "common/base/clock.h"
#include "migrator/load/readings.h"

namespace om::migrator {

class Load {
 public:
  static constexpr Milliseconds kWindow{1000};

  // `threads`: how many could run at `now`. Times ascend; two readings of the same moment both count.
  void add_running(MonotonicTime now, double threads);
  // `pressure`: in percent (parse_pressure()); nullopt where the kernel does not tell.
  void set_memory(const Memory& memory, std::optional<double> pressure);

  // Mean of the readings of the last second before `now`; the last one if all are older, 0 before the first.
  double running(MonotonicTime now) const;
  const Memory& memory() const { return memory_; }
  std::optional<double> pressure() const { return pressure_; }

 private:
  std::deque<std::pair<MonotonicTime, double>> readings_;
  Memory memory_;
  std::optional<double> pressure_;
};

}  // namespace om::migrator

// SPDX-License-Identifier: Apache-2.0
#include "migrator/load/load.h"

#include <algorithm>

namespace om::migrator {

void Load::add_running(MonotonicTime now, double threads) {
  while (!readings_.empty() && now - readings_.front().first >= kWindow) readings_.pop_front();
  readings_.emplace_back(now, std::max(threads, 0.0));
}

void Load::set_memory(const Memory& memory, std::optional<double> pressure) {
  memory_ = memory;
  pressure_ = pressure;
}

double Load::running(MonotonicTime now) const {
  double sum = 0;
  size_t count = 0;
  for (const auto& [time, threads] : readings_) {
    if (now - time >= kWindow) continue;
    sum += threads;
    ++count;
  }
  if (count != 0) return sum / static_cast<double>(count);
  return readings_.empty() ? 0 : readings_.back().second;
}

}  // namespace om::migrator

// SPDX-License-Identifier: Apache-2.0
#include "balance/model.h"

#include <algorithm>
#include <cmath>

namespace om::balance {

double capacity(const Machine& machine, double k) {
  const double second = std::clamp(k - machine.cores, 0.0, machine.threads - machine.cores);
  return std::min(k, machine.cores) + machine.second_thread * second;
}

double rate(const Machine& machine, double k) {
  if (k <= machine.cores) return machine.speed;
  return machine.speed * std::min(1.0, capacity(machine, k) / k);
}

double phi(const Machine& machine, double k) { return k <= 0 ? 0 : k / rate(machine, k); }

double leave_time(const Machine& machine, double k, double t) {
  return phi(machine, k) - phi(machine, std::max(0.0, k - t));
}

double join_time(const Machine& machine, double k, double t) {
  return phi(machine, std::max(0.0, k) + t) - phi(machine, std::max(0.0, k));
}

double call_factor(double calls_per_cpu_s, double call_s, bool at_home) {
  return at_home ? 1 : 1 + std::max(0.0, calls_per_cpu_s) * call_s;
}

double weight(const Constants& constants, double cpu_age_s) {
  return std::max(constants.least_weight_s, cpu_age_s);
}

double move_seconds(const Link& link, double bytes, unsigned hops) {
  return hops * (link.move_fixed_s + std::max(0.0, bytes) / link.bytes_per_s);
}

double move_cost(const Constants& constants, double move_s, double recent_moves) {
  return constants.cost_factor * move_s *
         std::pow(constants.backoff, std::clamp(recent_moves, 0.0, 100.0));
}

}  // namespace om::balance

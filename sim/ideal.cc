// SPDX-License-Identifier: Apache-2.0
#include "sim/ideal.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

namespace om::sim {
namespace {

// All CPUs, and the work per second of each of k threads on the k fastest.
class BigMachine {
 public:
  explicit BigMachine(const std::vector<NodeSpec>& nodes) {
    std::vector<double> speeds;
    for (const NodeSpec& node : nodes) {
      const balance::Machine& machine = node.machine;
      for (double cpu = 0; cpu < machine.threads; ++cpu)
        speeds.push_back(machine.speed * (cpu < machine.cores ? 1 : machine.second_thread));
    }
    std::sort(speeds.begin(), speeds.end(), std::greater<>());
    sums_.push_back(0);
    for (const double speed : speeds) sums_.push_back(sums_.back() + speed);
  }

  double rate(double threads) const {
    const double k = std::max(1.0, threads);
    return sums_[std::min(static_cast<size_t>(k), sums_.size() - 1)] / k;
  }

 private:
  std::vector<double> sums_;  // of the fastest i
};

}  // namespace

double fastest_speed(const Scenario& scenario) {
  double fastest = 0;
  for (const NodeSpec& node : scenario.nodes) fastest = std::max(fastest, node.machine.speed);
  return fastest;
}

Ideal ideal_of(const Scenario& scenario) {
  const BigMachine machine(scenario.nodes);
  const double fastest = fastest_speed(scenario);
  // Work that each thread has done since the start, as all get the same: a job ends when it reaches a known value.
  std::multimap<double, size_t> active;
  double done = 0, now = 0, threads = 0, sum = 0;
  size_t next = 0, counted = 0;
  while (next < scenario.jobs.size() || !active.empty()) {
    const double rate = machine.rate(threads);
    const double ends = active.empty() ? kNever : now + (active.begin()->first - done) / rate;
    const double arrives = next < scenario.jobs.size() ? scenario.jobs[next].arrives_s : kNever;
    if (arrives <= ends) {
      done += (arrives - now) * (active.empty() ? 0 : rate);
      now = arrives;
      const JobSpec& job = scenario.jobs[next];
      active.emplace(done + job.work_s / job.threads, next++);
      threads += job.threads;
      continue;
    }
    done = active.begin()->first;
    now = ends;
    const JobSpec& job = scenario.jobs[active.begin()->second];
    active.erase(active.begin());
    threads -= job.threads;
    if (job.arrives_s < scenario.counted_from_s) continue;
    ++counted;
    sum += (now - job.arrives_s) / (job.work_s / job.threads / fastest);
  }
  return {counted == 0 ? 0 : sum / static_cast<double>(counted), now};
}

}  // namespace om::sim

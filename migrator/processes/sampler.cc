// SPDX-License-Identifier: Apache-2.0
#include "migrator/processes/sampler.h"

#include <algorithm>
#include <utility>

#include "common/proc/process.h"

namespace om::migrator {
namespace {

double running_of(const std::vector<pid_t>& pids, size_t most) {
  if (pids.empty()) return 0;
  const size_t step = (pids.size() + most - 1) / most;
  double running = 0;
  size_t read = 0;
  for (size_t i = 0; i < pids.size(); i += step) {
    ++read;
    // Of one with many threads the state of each is needed.
    auto usage = read_usage(pids[i], false);
    if (usage && usage->threads > 1) usage = read_usage(pids[i], true);
    if (usage) running += usage->running;
  }
  return running * static_cast<double>(pids.size()) / static_cast<double>(read);
}

}  // namespace

Sampler::Sampler(Loop& loop, const Clock& clock, Census& census, Away away)
    : loop_(loop), clock_(clock), census_(census), away_(std::move(away)), timer_(loop) {
  timer_.start_repeating(kPeriod, [this] { sample(); });
}

Sampler::~Sampler() { *alive_ = false; }

// Nothing if the last one has not finished.
void Sampler::sample() {
  if (std::exchange(sampling_, true)) return;
  census_.survey([this, alive = alive_](std::vector<ProcessId> members) {
    if (*alive) read(std::move(members));
  });
}

void Sampler::read(std::vector<ProcessId> members) {
  const auto away = away_();
  for (const auto& [process, usage] : away) members.push_back(process);
  activities_.set_members(clock_.now(), members);
  for (const auto& [process, usage] : away) {
    if (usage) activities_.take_away(clock_.now(), process, *usage);
  }
  auto found = std::make_shared<std::vector<Usage>>();
  run_in_pool(
      loop_,
      [due = activities_.due(clock_.now()), found] {
        for (const Activities::Due& one : due) {
          auto usage = read_usage(one.id.pid, one.closely);
          if (usage && usage->id == one.id) found->push_back(*usage);
        }
      },
      [this, alive = alive_, found] {
        if (!*alive) return;
        sampling_ = false;
        for (const Usage& usage : *found) activities_.take(clock_.now(), usage);
      });
}

double Sampler::cpu_percent(const ProcessInfo& process) const {
  const Activity* activity = activities_.find(process.id);
  if (activity != nullptr && activity->cpu) return 100 * *activity->cpu;
  if (process.age_ms == 0) return 0;
  return 100.0 * static_cast<double>(process.cpu_ms) / static_cast<double>(process.age_ms);
}

void Sampler::count_running(std::vector<pid_t> parents, std::function<void(double)> told) {
  auto sum = std::make_shared<double>(0);
  run_in_pool(
      loop_,
      [pids = activities_.active(clock_.now()), parents = std::move(parents), sum]() mutable {
        for (const pid_t parent : parents) {
          for (const pid_t child : proc::list_children(parent).value_or({})) pids.push_back(child);
        }
        *sum = running_of(pids, kMostCounted);
      },
      [alive = alive_, sum, told = std::move(told)] {
        if (*alive) told(*sum);
      });
}

}  // namespace om::migrator

// SPDX-License-Identifier: Apache-2.0
#include "sim/report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/ideal.h"

namespace om::sim {
namespace {

double rounded(double value) { return std::round(value * 1e4) / 1e4; }

double quantile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))];
}

// No schedule can end earlier: all work on all CPUs, or the longest job on the fastest one.
double least_makespan(const Scenario& scenario, const Ideal& ideal) {
  double work = 0, longest = 0;
  for (const JobSpec& job : scenario.jobs) {
    work += job.work_s;
    longest = std::max(longest, job.work_s / job.threads);
  }
  return std::max(
      {work / total_capacity(scenario.nodes), longest / fastest_speed(scenario), ideal.makespan_s});
}

}  // namespace

std::string report(const Scenario& scenario, const Settings& settings, const World& world,
                   double took_s) {
  const double fastest = fastest_speed(scenario);
  std::vector<double> slowdowns;
  double sum = 0, moves = 0, frozen = 0, makespan = 0, counted = 0;
  size_t lost = 0, unfinished = 0;
  for (size_t i = 0; i < world.jobs().size(); ++i) {
    const Job& job = world.jobs()[i];
    const JobSpec& spec = scenario.jobs[i];
    moves += job.moves;
    frozen += job.frozen_s;
    lost += job.state == JobState::kLost;
    if (job.state != JobState::kEnded) {
      unfinished += job.state != JobState::kLost;
      continue;
    }
    makespan = std::max(makespan, job.ended_s);
    if (spec.arrives_s < scenario.counted_from_s) continue;
    ++counted;
    slowdowns.push_back((job.ended_s - spec.arrives_s) / (spec.work_s / spec.threads / fastest));
    sum += slowdowns.back();
  }
  std::sort(slowdowns.begin(), slowdowns.end());
  const Ideal ideal = ideal_of(scenario);
  const Totals& totals = world.totals();
  const auto jobs = static_cast<double>(std::max<size_t>(1, world.jobs().size()));
  const double mean = counted > 0 ? sum / counted : 0;
  const double seconds = std::max(1e-9, world.now());
  nlohmann::ordered_json out;
  out["policy"] = balance::name(settings.policy);
  out["seed"] = settings.seed;
  out["nodes"] = scenario.nodes.size();
  out["jobs"] = world.jobs().size();
  out["slowdown"] = rounded(mean);
  out["ideal"] = rounded(ideal.mean_slowdown);
  out["ratio"] = rounded(ideal.mean_slowdown > 0 ? mean / ideal.mean_slowdown : 0);
  out["p50"] = rounded(quantile(slowdowns, 0.5));
  out["p95"] = rounded(quantile(slowdowns, 0.95));
  out["makespan_s"] = rounded(makespan);
  out["makespan_ratio"] = rounded(makespan / least_makespan(scenario, ideal));
  out["moves_per_job"] = rounded(moves / jobs);
  out["placed_per_job"] = rounded(static_cast<double>(totals.placements) / jobs);
  out["asked_per_job"] = rounded(static_cast<double>(totals.asked) / jobs);
  out["busy_per_job"] = rounded(static_cast<double>(totals.busy) / jobs);
  out["frozen_s_per_job"] = rounded(frozen / jobs);
  out["age_s"] = rounded(totals.ages > 0 ? totals.age_sum / static_cast<double>(totals.ages) : 0);
  out["bytes_per_s"] = rounded(static_cast<double>(totals.bytes) /
                               static_cast<double>(scenario.nodes.size()) / seconds);
  out["lost"] = lost;
  out["unfinished"] = unfinished;
  out["simulated_s"] = rounded(world.now());
  out["events"] = totals.events;
  out["took_s"] = rounded(took_s);
  return out.dump();
}

}  // namespace om::sim

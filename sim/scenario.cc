// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace om::sim {
namespace {

constexpr double kFixedBytes = 30e6;  // of the equal jobs of a burst

NodeSpec node_of(Kind kind, size_t number) {
  NodeSpec node;
  node.name = "n" + std::to_string(number + 1);
  const auto set = [&node](double cores, double threads, double speed, double bytes) {
    node.machine = {cores, threads, speed};
    node.bytes = bytes;
  };
  const size_t place = number % 20;
  if (kind == Kind::kEqual) {
    set(1, 1, 1, 8e9);
  } else if (kind == Kind::kTwo) {
    set(1, 1, number % 2 == 0 ? 1 : 0.5, 8e9);
  } else if (kind == Kind::kQuad) {
    set(4, 4, 1, 16e9);
  } else if (kind == Kind::kSmall) {
    const double speeds[] = {1, 1, 0.75, 0.75, 0.5, 0.5};
    const double memory[] = {256, 128, 128, 64, 128, 64};
    set(1, 1, speeds[number % 6], memory[number % 6] * kMebibyte);
  } else if (place < 8) {
    set(2, 2, 0.6, 4e9);
  } else if (place < 16) {
    set(4, 8, 1, 16e9);
  } else if (place < 19) {
    set(8, 16, 1.4, 32e9);
  } else {
    set(16, 32, 1.1, 128e9);
  }
  return node;
}

class Draw {
 public:
  explicit Draw(uint64_t seed) : random_(seed) {}

  double real() { return static_cast<double>(random_() >> 11) * 0x1p-53; }
  size_t below(size_t most) { return random_() % most; }
  double exponential(double per_second) { return -std::log(1 - real()) / per_second; }
  // Pareto with alpha 1, cut off at both ends.
  double pareto(double least, double most) { return least / (1 - real() * (1 - least / most)); }
  double log_normal(double median, double sigma) {
    return median *
           std::exp(sigma * std::sqrt(-2 * std::log(1 - real())) * std::cos(2 * M_PI * real()));
  }

 private:
  std::mt19937_64 random_;
};

double mean_pareto(double least, double most) {
  return least == most ? least : std::log(most / least) * least * most / (most - least);
}

double calls_of(Draw& draw, double talkative) {
  const double kind = draw.real(), share = draw.real();
  if (kind < 1 - talkative) return share * 50;
  return kind < 1 - talkative / 4 ? 500 + share * 3000 : 10000 + share * 20000;
}

}  // namespace

std::vector<NodeSpec> make_nodes(Kind kind, size_t count) {
  std::vector<NodeSpec> nodes;
  // Homes of which some get more jobs are drawn from all: the kinds come in turn, not in blocks.
  for (size_t i = 0; i < count; ++i) {
    nodes.push_back(node_of(kind, kind == Kind::kLab ? i * 7 : i));
    nodes.back().name = "n" + std::to_string(i + 1);
  }
  return nodes;
}

double total_capacity(const std::vector<NodeSpec>& nodes) {
  double sum = 0;
  for (const NodeSpec& node : nodes)
    sum += node.machine.speed * balance::capacity(node.machine, node.machine.threads);
  return sum;
}

Scenario poisson(Kind kind, size_t count, const Load& load) {
  Scenario scenario{make_nodes(kind, count), {}, {}, load.seconds / 5};
  Draw draw(load.seed);
  std::vector<size_t> few;
  for (size_t i = 0; i < std::max<size_t>(1, count / 5); ++i) few.push_back(draw.below(count));
  const double per_second =
      load.utilisation * total_capacity(scenario.nodes) / mean_pareto(load.least_s, load.most_s);
  for (double now = draw.exponential(per_second); now < load.seconds;
       now += draw.exponential(per_second)) {
    JobSpec job;
    job.arrives_s = now;
    job.work_s = draw.pareto(load.least_s, load.most_s);
    job.home = draw.real() < load.at_few ? few[draw.below(few.size())] : draw.below(count);
    job.bytes = std::min(draw.log_normal(60e6, 1.2), 2e9) * load.memory;
    job.calls_per_cpu_s = calls_of(draw, load.talkative);
    job.guessed_calls = job.calls_per_cpu_s * draw.log_normal(1, 0.7);
    scenario.jobs.push_back(job);
  }
  return scenario;
}

Scenario burst(Kind kind, size_t count, size_t jobs, double work_s) {
  Scenario scenario{make_nodes(kind, count), {}, {}, 0};
  for (size_t i = 0; i < jobs; ++i)
    scenario.jobs.push_back({.arrives_s = 0, .home = 0, .work_s = work_s, .bytes = kFixedBytes});
  return scenario;
}

Scenario published(const Load& load) {
  constexpr size_t kNodes = 6;
  Scenario scenario{make_nodes(Kind::kSmall, kNodes), {}, {}, load.seconds / 5};
  // 100 Mbit/s, as then; a call takes longer, too.
  scenario.network.link = {300e-6, 0.05, 11e6};
  Draw draw(load.seed);
  const double per_second =
      load.utilisation * total_capacity(scenario.nodes) / mean_pareto(load.least_s, load.most_s);
  for (double now = draw.exponential(per_second); now < load.seconds;
       now += draw.exponential(per_second)) {
    scenario.jobs.push_back({.arrives_s = now,
                             .home = draw.below(kNodes),
                             .work_s = draw.pareto(load.least_s, load.most_s),
                             .bytes = draw.pareto(2, 64) * kMebibyte});
  }
  return scenario;
}

}  // namespace om::sim

// SPDX-License-Identifier: Apache-2.0
#include "sim/gossip.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "balance/load_table.h"
#include "common/base/assert.h"

namespace om::sim {
namespace {

using balance::LoadTable;

constexpr double kAddedBytes = 20 + 8 + 48;  // IP, UDP, seal

double share(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1p-53; }

}  // namespace

GossipFigures measure_gossip(const GossipSettings& settings) {
  const size_t n = settings.nodes;
  const unsigned rounds = settings.rounds > 0
                              ? settings.rounds
                              : static_cast<unsigned>(60 + 2 * std::min(n, settings.kept));
  std::mt19937_64 random(settings.seed);
  std::vector<LoadTable> tables;
  std::vector<double> phases(n);
  std::vector<size_t> order(n);
  for (size_t i = 0; i < n; ++i) {
    tables.emplace_back(NodeId{i + 1}, 1, settings.kept);
    phases[i] = share(random) * LoadTable::kInterval;
  }
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return phases[a] < phases[b]; });
  GossipFigures figures;
  double ages = 0, entries = 0, worst = 0, looks = 0, bytes = 0;
  for (unsigned round = 0; round < rounds; ++round) {
    for (const size_t from : order) {
      const double now = round * LoadTable::kInterval + phases[from];
      const std::string message = tables[from].tell(now);
      bytes += static_cast<double>(message.size()) + kAddedBytes;
      size_t to = random() % (n - 1);
      to += to >= from;
      if (share(random) >= settings.loss) OM_ASSERT(tables[to].hear(now, message).ok());
    }
    if (round < rounds - rounds / 3) continue;
    for (const LoadTable& table : tables) {
      double oldest = 0;
      for (const LoadTable::Known& known : table.known()) {
        const double age = (round + 1) * LoadTable::kInterval - known.made_s;
        ages += age;
        oldest = std::max(oldest, age);
      }
      entries += static_cast<double>(table.known().size());
      worst += oldest;
      ++looks;
    }
  }
  figures.mean_age = ages / entries / LoadTable::kInterval;
  figures.worst_age = worst / looks / LoadTable::kInterval;
  figures.known = entries / looks;
  figures.bytes_per_s = bytes / static_cast<double>(n) / (rounds * LoadTable::kInterval);
  return figures;
}

double expected_age(double nodes, double window) {
  const double n = nodes, w = std::min(window, n - 1);
  const double age = std::log(w * (n - 1) / (n - w)) * (n - 1) / n;
  const double grown = std::exp(n * age / (n - 1));
  const double within = n * grown / (n - 1 + grown);
  const double mean_within = age - (n - 1) / within * (std::log(n - 1 + grown) - std::log(n));
  return 1 / (1 - std::pow(1 - 1 / (n - 1), within)) + mean_within;
}

}  // namespace om::sim

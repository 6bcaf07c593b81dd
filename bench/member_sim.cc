// SPDX-License-Identifier: Apache-2.0
//
// `bench member`: how fast the members of a cluster learn of a dead and of a new node, and what that costs, by
// simulation with the shipped state machine.
//
//   member_sim scale NODES KILLS [SEED]     one line of JSON: detect_s, converge_s, bytes_per_s, datagrams_per_s
//   member_sim hour NODES LOSS [SEED]       one line of JSON: wrong_downs, suspected, dials in a simulated hour
//
// Every dial of a dead node takes its full second, as with a pulled cable. A member table entry is 16 bytes and records
// are shared in one pool, so 10,000 nodes with complete views need 1.6 GB.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "bench/member_network.h"

namespace {

using om::Milliseconds;
using om::members::ChangeKind;
using om::members::MemberNetwork;

double seconds(om::MonotonicTime::duration time) {
  return std::chrono::duration<double>(time).count();
}

// The smallest value that `share` of all values do not exceed.
double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::max<size_t>(rank, 1) - 1];
}

// Seconds until all nodes that are up have seen the change, from now.
double time_until_all_know(MemberNetwork& net, size_t node, ChangeKind kind) {
  size_t others = 0;
  for (size_t i = 0; i < net.size(); ++i) others += net.up(i) && i != node;
  size_t know = 0;
  net.on_change = [&](size_t, size_t about, ChangeKind change) {
    know += about == node && change == kind;
  };
  const auto start = net.now();
  const bool all = net.run_until([&] { return know >= others; }, Milliseconds(120000));
  net.on_change = nullptr;
  return all ? seconds(net.now() - start) : INFINITY;
}

int scale(size_t nodes, size_t kills, uint64_t seed) {
  MemberNetwork net({}, seed);
  for (size_t i = 0; i < nodes; ++i) net.add();
  net.introduce_all();
  // Everybody's own record has been said often enough.
  net.run_for(Milliseconds(20000));

  constexpr double kWindow = 10;
  const uint64_t bytes = net.bytes, datagrams = net.datagrams;
  net.run_for(Milliseconds(static_cast<int64_t>(kWindow * 1000)));
  const double per_node = 1 / kWindow / static_cast<double>(nodes);
  const double bytes_per_s = static_cast<double>(net.bytes - bytes) * per_node;
  const double datagrams_per_s = static_cast<double>(net.datagrams - datagrams) * per_node;

  std::vector<double> joins, kill_times;
  for (size_t i = 0; i < kills; ++i) {
    net.run_for(Milliseconds(5000 + static_cast<int64_t>(net.random() % 1000)));
    const size_t joiner = net.add();
    net.introduce(joiner, net.random() % nodes);
    joins.push_back(time_until_all_know(net, joiner, ChangeKind::kJoined));
    // The joiner goes again: the cluster keeps its size.
    net.run_for(Milliseconds(15000 + static_cast<int64_t>(net.random() % 1000)));
    net.kill(joiner);
    kill_times.push_back(time_until_all_know(net, joiner, ChangeKind::kDown));
  }
  printf(
      "{\"nodes\": %zu, \"kills\": %zu, \"detect_s\": %.3f, \"detect_median_s\": %.3f, "
      "\"converge_s\": %.3f, "
      "\"bytes_per_s\": %.2f, \"datagrams_per_s\": %.3f}\n",
      nodes, kills, quantile(kill_times, 0.95), quantile(kill_times, 0.5), quantile(joins, 0.95),
      bytes_per_s, datagrams_per_s);
  return 0;
}

int hour(size_t nodes, double loss, uint64_t seed) {
  MemberNetwork net({.loss = loss}, seed);
  for (size_t i = 0; i < nodes; ++i) net.add();
  net.introduce_all();
  uint64_t wrong = 0, suspected = 0;
  net.on_change = [&](size_t, size_t, ChangeKind change) {
    wrong += change == ChangeKind::kDown;
    suspected += change == ChangeKind::kSuspected;
  };
  net.run_for(Milliseconds(3600 * 1000));
  const double per_node = 1 / 3600.0 / static_cast<double>(nodes);
  printf(
      "{\"nodes\": %zu, \"loss\": %.3f, \"wrong_downs\": %lu, \"suspected\": %lu, \"dials\": %lu, "
      "\"bytes_per_s\": %.2f, \"datagrams_per_s\": %.3f}\n",
      nodes, loss, wrong, suspected, net.dials, static_cast<double>(net.bytes) * per_node,
      static_cast<double>(net.datagrams) * per_node);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const char* what = argc >= 4 ? argv[1] : "";
  const uint64_t seed = argc >= 5 ? strtoul(argv[4], nullptr, 10) : 1;
  const size_t nodes = argc >= 4 ? strtoul(argv[2], nullptr, 10) : 0;
  if (nodes >= 2 && nodes <= 20000 && strcmp(what, "scale") == 0) {
    const size_t kills = strtoul(argv[3], nullptr, 10);
    if (kills > 0) return scale(nodes, kills, seed);
  }
  if (nodes >= 2 && nodes <= 20000 && strcmp(what, "hour") == 0)
    return hour(nodes, atof(argv[3]), seed);
  fprintf(stderr, "usage: member_sim scale NODES KILLS [SEED] | hour NODES LOSS [SEED]\n");
  return 2;
}

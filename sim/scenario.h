// SPDX-License-Identifier: Apache-2.0
//
// What is simulated: nodes, jobs, the network. Made from a seed (scenario.cc) or read from a file (trace.h). Times are
// seconds from the start, work is CPU seconds of a node of speed 1, nodes are numbered from 0.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <limits>
#include <string>
#include <vector>

#include "balance/model.h"

namespace om::sim {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr double kMebibyte = 1 << 20;

struct NodeSpec {
  std::string name;
  balance::Machine machine{};
  double bytes = 8e9;
  uint8_t feature_class = 1;
  double joins_s = 0;
  double dies_s = kNever;    // the cable is pulled
  double leaves_s = kNever;  // is drained from then on
  bool lies = false;         // tells that it is empty and fast, and takes everything
};

struct JobSpec {
  double arrives_s = 0;
  size_t home = 0;
  double work_s = 1;
  double threads = 1;
  double bytes = 60e6;
  double calls_per_cpu_s = 0;  // forwarded when away
  double guessed_calls = 0;    // what home estimates before it has been away
};

struct Network {
  double delay_s = 0.0002;  // one way
  double loss = 0;          // of datagrams, 0..1
  balance::Link link{};     // calls and moves between any two nodes
};

struct Scenario {
  std::vector<NodeSpec> nodes;
  std::vector<JobSpec> jobs;  // in the order of their arrival
  Network network{};
  double counted_from_s = 0;  // earlier jobs fill the cluster
};

enum class Kind {
  kLab,  // 40 % two cores at 0.6, 40 % four cores and eight threads, 15 % eight cores at 1.4, 5 % sixteen cores
  kEqual,  // one CPU each
  kTwo,    // one CPU each, every other one at half speed
  kQuad,   // four cores each
  kSmall,  // six workstations of three speeds with 64 to 256 MB, for what was published
};

struct Load {
  uint64_t seed = 1;
  double utilisation = 0.7;
  double seconds = 600;  // of arrivals
  double least_s = 1;    // work: Pareto with alpha 1 between the two
  double most_s = 3600;
  double at_few = 0.5;     // share of the jobs that start at a fifth of the nodes
  double talkative = 0.2;  // share of the jobs that make many calls
  double memory = 1;       // times the usual 60 MB (log-normal, sigma 1.2, at most 2 GB)
};

std::vector<NodeSpec> make_nodes(Kind kind, size_t count);
// Work per second of all nodes with all their CPUs busy.
double total_capacity(const std::vector<NodeSpec>& nodes);
// Arrivals by a Poisson process, up to Load::seconds; the first fifth is not counted.
Scenario poisson(Kind kind, size_t nodes, const Load& load);
// `jobs` equal jobs at once, all at node 0.
Scenario burst(Kind kind, size_t nodes, size_t jobs, double work_s);
// Exponential arrivals at all nodes of a small mixed cluster, Pareto work and memory: nodes run short of memory.
Scenario published(const Load& load);

}  // namespace om::sim

// SPDX-License-Identifier: Apache-2.0
//
// Made-up views for the tests of the policies.
#pragma once

#include <random>
#include <string>

#include "balance/policy.h"

namespace om::balance {

constexpr double kMebibyte = 1 << 20;

inline NodeLoad node_of(uint64_t id, double k, Machine machine = {1, 1, 1}, double free_mib = 8000,
                        double total_mib = 8192) {
  NodeLoad node;
  node.node = NodeId{id};
  node.machine = machine;
  node.k = node.told = k;
  node.free_bytes = free_mib * kMebibyte;
  node.total_bytes = total_mib * kMebibyte;
  return node;
}

inline ProcessLoad process_of(int pid, double age_s, double mib = 10, uint64_t home = 1) {
  ProcessLoad process;
  process.id = {pid, 1};
  process.home = NodeId{home};
  process.resident_bytes = mib * kMebibyte;
  process.cpu_age_s = age_s;
  return process;
}

// Node 1 with so many processes of 10 s, and the others.
inline View crowd(int processes, std::vector<NodeLoad> others) {
  View view;
  view.self = node_of(1, processes);
  view.others = std::move(others);
  view.cluster_size = view.others.size() + 1;
  for (int i = 0; i < processes; ++i) view.processes.push_back(process_of(100 + i, 10));
  return view;
}

inline Random random_of(uint64_t seed) {
  return [state = std::mt19937_64(seed)]() mutable { return state(); };
}

inline Decision decided(Policy policy, const View& view, uint64_t seed = 1, bool explain = false) {
  PolicyState state;
  return decide(policy, view, state, random_of(seed), explain);
}

// "100>2 101>3": who goes where.
inline std::string moves_text(const View& view, const Decision& decision) {
  std::string out;
  for (const Move& move : decision.moves) {
    out += (out.empty() ? "" : " ") + std::to_string(view.processes[move.process].id.pid) + ">" +
           std::to_string(static_cast<uint64_t>(move.to));
  }
  return out;
}

// What was said against one process and one target; the first reason that fits.
inline Against said(const View& view, const Decision& decision, int pid, uint64_t target) {
  for (const Candidate& candidate : decision.candidates) {
    const bool of_process =
        candidate.process == kNoProcess || view.processes[candidate.process].id.pid == pid;
    const bool of_target = candidate.target == NodeId{} || candidate.target == NodeId{target};
    if (of_process && of_target) return candidate.against;
  }
  return Against::kNotChosen;
}

}  // namespace om::balance

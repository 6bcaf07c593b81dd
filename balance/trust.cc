// SPDX-License-Identifier: Apache-2.0
#include "balance/trust.h"

#include <algorithm>

namespace om::balance {
namespace {

// Measurements that count about as much as the newest one.
constexpr double kDecay = 0.8;
// CPU seconds promised before a node is judged: one process may have slept.
constexpr double kLeastPromised = 2;

}  // namespace

double promised_share(const Machine& machine, double k) {
  return rate(machine, std::max(1.0, k)) / machine.speed;
}

bool Trust::may_send(NodeId node, double now_s) const {
  const auto it = nodes_.find(node);
  if (it == nodes_.end()) return true;
  return it->second.unproven < constants_.unproven && it->second.bad_until_s <= now_s;
}

void Trust::sent(NodeId node) { ++nodes_[node].unproven; }

void Trust::gone(NodeId node) {
  const auto it = nodes_.find(node);
  if (it != nodes_.end() && it->second.unproven > 0) --it->second.unproven;
}

void Trust::measured(NodeId node, double now_s, double cpu_s, double promised_s, bool first) {
  Record& record = nodes_[node];
  if (first && record.unproven > 0) --record.unproven;
  record.cpu_s = kDecay * record.cpu_s + std::max(0.0, cpu_s);
  record.promised_s = kDecay * record.promised_s + std::max(0.0, promised_s);
  if (record.promised_s < kLeastPromised) return;
  if (record.cpu_s >= constants_.promise_kept * record.promised_s) return;
  record.bad_until_s = now_s + constants_.bad_target_s;
  record.cpu_s = record.promised_s = 0;
}

}  // namespace om::balance

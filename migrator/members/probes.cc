// SPDX-License-Identifier: Apache-2.0
#include "migrator/members/probes.h"

#include <algorithm>

namespace om::members {

void Probes::add(uint32_t sequence, NodeId target, MonotonicTime ask_at, MonotonicTime fail_at) {
  waiting_.push_back({sequence, target, false, ask_at, fail_at});
}

bool Probes::answered(uint32_t sequence, NodeId target) {
  return std::erase_if(waiting_, [&](const Probe& probe) {
           return probe.sequence == sequence && probe.target == target;
         }) != 0;
}

std::optional<Probes::Unanswered> Probes::to_ask(MonotonicTime now) {
  for (Probe& probe : waiting_) {
    if (probe.asked || probe.ask_at > now) continue;
    probe.asked = true;
    return Unanswered{probe.sequence, probe.target};
  }
  return {};
}

std::optional<NodeId> Probes::failed(MonotonicTime now) {
  const auto at = std::find_if(waiting_.begin(), waiting_.end(),
                               [&](const Probe& probe) { return probe.fail_at <= now; });
  if (at == waiting_.end()) return {};
  const NodeId target = at->target;
  waiting_.erase(at);
  return target;
}

MonotonicTime Probes::next() const {
  MonotonicTime first = MonotonicTime::max();
  for (const Probe& probe : waiting_)
    first = std::min(first, probe.asked ? probe.fail_at : probe.ask_at);
  return first;
}

void Relays::add(const Relay& relay) {
  if (relays_.size() >= kMaxRelays) relays_.erase(relays_.begin());
  relays_.push_back(relay);
}

std::optional<Relays::Relay> Relays::answered(uint32_t sequence, NodeId target) {
  const auto at = std::find_if(relays_.begin(), relays_.end(), [&](const Relay& relay) {
    return relay.sequence == sequence && relay.target == target;
  });
  if (at == relays_.end()) return {};
  const Relay relay = *at;
  relays_.erase(at);
  return relay;
}

void Relays::expire(MonotonicTime now) {
  std::erase_if(relays_, [&](const Relay& relay) { return relay.until <= now; });
}

}  // namespace om::members

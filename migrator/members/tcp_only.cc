// SPDX-License-Identifier: Apache-2.0
#include "migrator/members/tcp_only.h"

#include <algorithm>

namespace om::members {

bool TcpOnly::reached(NodeId node, MonotonicTime now) {
  Strikes& strikes = strikes_[node];
  if (strikes.count >= kStrikes || ++strikes.count < kStrikes) return false;
  strikes.dial_at = now + strikes.pause;
  return true;
}

bool TcpOnly::heard(NodeId node) {
  const bool known = has(node);
  strikes_.erase(node);
  return known;
}

bool TcpOnly::has(NodeId node) const {
  const auto found = strikes_.find(node);
  return found != strikes_.end() && found->second.count >= kStrikes;
}

bool TcpOnly::due(NodeId node, MonotonicTime now) {
  Strikes& strikes = strikes_.at(node);
  if (now < strikes.dial_at) return false;
  strikes.pause = std::min(2 * strikes.pause, kLongestPause);
  strikes.dial_at = now + strikes.pause;
  return true;
}

}  // namespace om::members

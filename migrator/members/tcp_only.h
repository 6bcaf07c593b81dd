// SPDX-License-Identifier: Apache-2.0
//
// The members that answer a dial and no ping: the datagrams between them and this node are lost, by a firewall say.
// Suspecting such a member time and again would tell everybody of something that is not so. Instead this node dials it
// after pings without an answer, at growing intervals, and suspects it only if that fails.
#pragma once

#include <map>

#include "common/base/clock.h"
#include "migrator/members/node_record.h"

namespace om::members {

class TcpOnly {
 public:
  // In a row, without an ack between them: so often datagrams are not lost by chance.
  static constexpr unsigned kStrikes = 4;
  static constexpr Milliseconds kFirstPause{2000}, kLongestPause{60000};

  // A suspect has answered when this node dialled it. True if it is known to be one of them from now on.
  bool reached(NodeId node, MonotonicTime now);
  // It has answered a ping. True if it was known to be one of them.
  bool heard(NodeId node);
  void forget(NodeId node) { strikes_.erase(node); }

  bool has(NodeId node) const;
  // A ping to one of them has failed: whether to dial it now, which is then not due again for a while.
  bool due(NodeId node, MonotonicTime now);
  size_t size() const { return strikes_.size(); }

 private:
  struct Strikes {
    unsigned count = 0;
    Milliseconds pause = kFirstPause;
    MonotonicTime dial_at{};
  };
  std::map<NodeId, Strikes> strikes_;  // of members that are alive or suspected
};

}  // namespace om::members

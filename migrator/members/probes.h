// SPDX-License-Identifier: Apache-2.0
//
// Pings that wait for their acks: those of this node (Probes) and those that it makes for others (Relays).
#pragma once

#include <stdint.h>

#include <optional>
#include <vector>

#include "common/base/clock.h"
#include "migrator/members/node_record.h"

namespace om::members {

constexpr size_t kMaxRelays = 256;

class Probes {
 public:
  void add(uint32_t sequence, NodeId target, MonotonicTime ask_at, MonotonicTime fail_at);
  // Whether there was such a probe.
  bool answered(uint32_t sequence, NodeId target);
  void clear() { waiting_.clear(); }

  // The next probe without an answer that others are to be asked about, once each: (sequence, target).
  struct Unanswered {
    uint32_t sequence = 0;
    NodeId target{};
  };
  std::optional<Unanswered> to_ask(MonotonicTime now);
  // The next target that has failed; its probe is over.
  std::optional<NodeId> failed(MonotonicTime now);

  // When one of the above has something, or time_point::max().
  MonotonicTime next() const;
  size_t size() const { return waiting_.size(); }

 private:
  struct Probe {
    uint32_t sequence = 0;
    NodeId target{};
    bool asked = false;
    MonotonicTime ask_at;
    MonotonicTime fail_at;
  };

  std::vector<Probe> waiting_;  // at most one a period
};

// At most kMaxRelays, the oldest goes first.
class Relays {
 public:
  struct Relay {
    uint32_t sequence = 0;  // of this node's ping
    NodeId target{};
    NodeId asker{};
    uint32_t asked_as = 0;  // the asker's sequence number
    MonotonicTime until;
  };

  void add(const Relay& relay);
  // The request that this ack belongs to, which is over then.
  std::optional<Relay> answered(uint32_t sequence, NodeId target);
  void expire(MonotonicTime now);
  size_t size() const { return relays_.size(); }

 private:
  std::vector<Relay> relays_;
};

}  // namespace om::members

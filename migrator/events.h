// SPDX-License-Identifier: Apache-2.0
//
// What happened on this node lately, for `om events`, `om why` and `om run`: a ring of the last 1000
// migrations, refusals and losses. Kept in memory only; the log has the same lines for longer.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <deque>
#include <string>

#include "common/clock.h"
#include "common/json_line.h"

namespace om::migrator {

struct Event {
  std::string
      kind;  // moved, refused, failed, lost, note, admitted, rejected, guest_end, peer_up, peer_down
  pid_t pid = 0;        // at its home; 0 if it is about no process
  std::string node;     // the other node, empty if there is none
  std::string code;     // reason code, empty if there is none
  std::string message;  // one sentence
};

class Events {
 public:
  static constexpr size_t kCapacity = 1000;

  explicit Events(const Clock& clock) : clock_(clock) {}

  // Also writes one line to the log.
  void add(Event event);

  // Oldest first; pid 0: all. `time` is RFC 3339 UTC with milliseconds, `number` counts from 1 without gaps.
  Json list(pid_t pid) const;

 private:
  struct Entry {
    uint64_t number;
    WallTime time;
    Event event;
  };
  const Clock& clock_;
  uint64_t last_number_ = 0;
  std::deque<Entry> entries_;
};

// "2026-05-04T12:13:14.567Z"
std::string rfc3339(WallTime time);

}  // namespace om::migrator

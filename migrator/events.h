// SPDX-License-Identifier: Apache-2.0
//
// What happened on this node lately, for `om events`, `om why` and `om run`: a ring of the last 1000
// migrations, refusals and losses. Kept in memory only; the log has the same lines for longer.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "common/clock.h"
#include "common/json_line.h"

namespace om::migrator {

struct Event {
  // moved, home, ended, refused, failed, late, lost, note, adopt, admitted, rejected, guest_end, peer_up, peer_down
  std::string kind;
  pid_t pid = 0;        // at its home; 0 if it is about no process
  std::string node;     // the other node, empty if there is none
  std::string code;     // reason code, empty if there is none
  std::string message;  // one sentence
};

class Events {
 public:
  static constexpr size_t kCapacity = 1000;

  // runner_of: the `om run` that watches a process, 0 if there is none.
  Events(const Clock& clock, std::function<pid_t(pid_t)> runner_of)
      : clock_(clock), runner_of_(std::move(runner_of)) {}

  // Also writes one line to the log.
  void add(Event event);

  // Oldest first; pid 0: all; pid of an `om run`: what is known of the job that it watches, or has watched. `time` is
  // RFC 3339 UTC with milliseconds, `number` counts from 1 without gaps.
  Json list(pid_t pid) const;

 private:
  struct Entry {
    uint64_t number;
    WallTime time;
    Event event;
    pid_t runner;  // of the process; 0 if there is none
  };
  pid_t runner_of(const Event& event) const;

  const Clock& clock_;
  std::function<pid_t(pid_t)> runner_of_;
  uint64_t last_number_ = 0;
  std::deque<Entry> entries_;
};

// "2026-05-04T12:13:14.567Z"
std::string rfc3339(WallTime time);

}  // namespace om::migrator

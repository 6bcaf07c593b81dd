// SPDX-License-Identifier: Apache-2.0
//
// What happened on this node lately, for `om events`, `om why` and `om run`: migrations, refusals and losses. Kept in
// memory only; the log keeps the same lines for longer. Everyone who causes events has a ring of their own, so that
// nobody can push out events that concern somebody else. Losses have separate rings: the explanation for a process that
// is gone is kept longest.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/log_budget.h"
#include "common/movable/reasons.h"
#include "common/net/json_line.h"

namespace om::migrator {

struct Event {
  // See `events` in docs/CLI.md: moved, home, refused, lost, ..., of members joined, left, suspected, down, up, denied.
  std::string kind;
  pid_t pid = 0;     // at its home; 0 if no process is concerned
  std::string node;  // the other node; empty if none
  std::optional<ReasonCode> code;
  std::string message;  // one sentence
  std::string
      owner;  // who it is charged to: user_owner(), guest_owner(), empty for the node itself
};

std::string user_owner(uid_t uid);
std::string guest_owner(const std::string& home, uid_t uid);

class Events {
 public:
  static constexpr size_t kCapacity = 1000;       // of one owner; the same for losses
  static constexpr size_t kTotalCapacity = 4000;  // of all; the owner with the most gives way

  // runner_of: returns the `om run` that watches a process, 0 if there is none.
  Events(const Clock& clock, std::function<pid_t(pid_t)> runner_of)
      : clock_(clock), runner_of_(std::move(runner_of)), budget_(clock) {}

  // Also writes one line to the log, unless its owner has caused too many.
  void add(Event event);

  // Oldest first. pid 0: all; pid of an `om run`: events of the job that it watches or watched. `time` is RFC 3339 UTC
  // with milliseconds, `number` counts from 1.
  Json list(pid_t pid) const;

 private:
  struct Entry {
    uint64_t number;
    WallTime time;
    Event event;
    pid_t runner;  // of the process; 0 if there is none
  };
  // Rings by owner.
  struct Rings {
    std::map<std::string, std::deque<Entry>> of;
    size_t total = 0;
    void add(const std::string& owner, Entry entry);
    void drop_oldest(std::map<std::string, std::deque<Entry>>::iterator ring);
  };
  void write_log(const Event& event, bool loss);

  pid_t runner_of(const Event& event) const;
  // Events of the process and, if it is an `om run`, of the job that it watches; 0: all. In order of their numbers.
  std::vector<const Entry*> about(pid_t pid) const;

  const Clock& clock_;
  std::function<pid_t(pid_t)> runner_of_;
  LogBudget budget_;
  uint64_t last_number_ = 0;
  Rings ordinary_;
  Rings losses_;
};

// "2026-05-04T12:13:14.567Z"
std::string rfc3339(WallTime time);

}  // namespace om::migrator

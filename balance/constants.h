// SPDX-License-Identifier: Apache-2.0
//
// The constants of all decisions, in one place, each with its reason (docs/BALANCING.md has the measurements). They
// matter little: the simulator moves each of them by a factor of two without a change of more than a few per cent.
#pragma once

#include <stdint.h>

#include <functional>

namespace om::balance {

// Uniform over all 64-bit numbers.
using Random = std::function<uint64_t()>;

// What another thread on a core that already runs one adds, as a share of a core, where it was not measured.
constexpr double kSecondThread = 0.3;

struct Constants {
  // Between two decisions, +- period_spread of it so that nodes do not decide in step. Half a second is the time in
  // which the news of a node reaches the first others.
  double period_s = 0.5;
  double period_spread = 0.25;

  // Entries about other nodes that are older say nothing about now: jobs of a second have come and gone.
  double oldest_entry_s = 8;

  // Processes that are younger (since their start) mostly end before a move would pay.
  double smallest_age_s = 0.3;
  // Remaining work of a process that has hardly begun; afterwards who has lived long will live long (Pareto).
  double least_weight_s = 0.3;
  // Remaining work of what is only about to be started.
  double weight_at_exec_s = 2;

  // A target must be better by this factor: entries are a few seconds old.
  double margin = 1.15;
  // A move must save this much more than it costs, as the cost is an estimate.
  double cost_factor = 1.3;
  // Each move of the last backoff_window_s makes the next one so much dearer: what goes to and fro calms down.
  double backoff = 1.5;
  double backoff_window_s = 60;
  // Who has arrived stays: at least so long, and ten times what its last move took.
  double stay_s = 1;
  double stay_moves = 10;

  // Best targets that are looked at for each process, and the difference within which targets are equal and chance
  // decides: so not all nodes run to the same one.
  unsigned targets = 4;
  double tie = 0.05;
  // Departures under way from one node. With two, a burst of 256 jobs on one of 64 nodes takes three times as long.
  unsigned departures = 16;

  // A process grows: so much of its resident size must be free, and the headroom besides.
  double room_factor = 1.1;
  double headroom_share = 1.0 / 16;  // of the node's memory

  // Placement: a job starts elsewhere only where it is cheaper by this factor and by the cost of moving what it has
  // touched until then.
  double placement_factor = 0.8;
  double placement_cost_s = 0.05;

  // Processes at one node whose progress there has not been measured yet: a node that claims to be empty and fast for
  // ever does not get all.
  unsigned unproven = 16;
  // CPU time of guests below this share of what was promised makes a node a bad target for so long.
  double promise_kept = 0.5;
  double bad_target_s = 600;
  // Progress is judged after this time there: a node may be surprised once.
  double judged_after_s = 2;
};

constexpr Constants kConstants{};

}  // namespace om::balance

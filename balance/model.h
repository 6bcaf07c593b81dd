// SPDX-License-Identifier: Apache-2.0
//
// The model behind all decisions: how fast threads run on a node with so many of them, what a thread more or less costs
// everybody there, and what a move costs. Times are seconds, speeds are relative to the reference (1), work is CPU
// seconds of the reference. Pure functions of doubles; results are finite for finite arguments.
#pragma once

#include "balance/constants.h"

namespace om::balance {

// CPUs of a node. Preconditions everywhere: cores >= 1, threads >= cores, speed > 0 (what comes from peers is checked
// where it is decoded).
struct Machine {
  double cores = 1;
  double threads = 1;  // hardware threads of all cores
  double speed = 1;    // of one core that runs one thread
  double second_thread = kSecondThread;

  bool operator==(const Machine&) const = default;
};

// What moves to a node or forwarded calls from it cost, as measured between the two; until then these.
struct Link {
  double call_s = 100e-6;      // a forwarded call, there and back
  double move_fixed_s = 0.03;  // frozen in any move
  double bytes_per_s = 110e6;  // of a process's memory, while it is frozen

  bool operator==(const Link&) const = default;
};

// Cores that k runnable threads keep busy.
double capacity(const Machine& machine, double k);
// Work per second of each of k runnable threads; of one for k <= 1.
double rate(const Machine& machine, double k);
// How long all k threads together take for a unit of work each.
double phi(const Machine& machine, double k);
// What everybody on a node gains per unit of work when t of its k threads leave. t <= k; fewer than 0 are none.
double leave_time(const Machine& machine, double k, double t);
// What everybody there loses when t threads join k others.
double join_time(const Machine& machine, double k, double t);

// By how much a process is slower because it forwards calls: 1 at home; away 1 + calls per CPU second * time of each.
double call_factor(double calls_per_cpu_s, double call_s, bool at_home);

// Work that a process is expected to have left, by the CPU time that it has used.
double weight(const Constants& constants, double cpu_age_s);

// Seconds for which a process with so much memory is frozen by a move. Between two nodes of which none is its home it
// goes through home: two hops.
double move_seconds(const Link& link, double bytes, unsigned hops);
// What such a move counts in a decision.
double move_cost(const Constants& constants, double move_s, double recent_moves);

}  // namespace om::balance

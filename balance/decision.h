// SPDX-License-Identifier: Apache-2.0
//
// What comes out of a decision: moves to ask for, each with its cause and the numbers behind it, and on request for
// everything that was looked at the first reason that spoke against it (`om balance explain`).
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <string_view>
#include <vector>

#include "common/base/node_id.h"

namespace om::balance {

// In the order in which they are looked at: of a process, of a target, of both together, of their numbers.
enum class Against : uint8_t {
  kNothing,
  kNoMove,  // the node's processes are not to leave
  kLocked,  // of the process
  kNotMovable,
  kMoving,
  kStay,
  kYoung,
  kDepartures,   // too many under way
  kUnreachable,  // of the target
  kStale,
  kBlocked,
  kDraining,
  kOwner,
  kFull,
  kUntrusted,
  kNotAllowed,  // of both
  kFeatures,
  kMemory,
  kMargin,  // of their numbers
  kIoBound,
  kNoGain,
  kNotChosen,  // another one is better, or this policy does not look at it
  kBusy,       // the target's own judgement
};
constexpr size_t kAgainstCount = static_cast<size_t>(Against::kBusy) + 1;

// A clause, as in "does not go to n2: the target is too small".
std::string_view text(Against against);
// For JSON: "no_gain".
std::string_view name(Against against);

// Why a process moves; in records, events and metrics.
enum class Cause : uint8_t { kLoad, kSpeed, kMemory, kOwner, kDrain, kUser, kIo, kCall };
std::string_view text(Cause cause);

// docs/BALANCING.md explains them. Seconds, leave and join per unit of work.
struct Terms {
  double leave = 0;
  double join = 0;
  double e_here = 1;
  double e_there = 1;
  double weight = 0;
  double gain = 0;
  double cost = 0;

  double net() const { return gain - cost; }
};

constexpr size_t kNoProcess = SIZE_MAX;

// One process and one target. Without a process (kNoProcess) it is about a target for all of them; with node id 0 about
// a process for all targets.
struct Candidate {
  size_t process = kNoProcess;  // index in the view
  NodeId target{};
  Against against = Against::kNothing;  // kNothing: it is asked to move
  Terms terms{};                        // as far as they were computed
};

struct Move {
  size_t process = kNoProcess;
  NodeId to{};
  Cause cause{};
  Terms terms{};
};

struct Decision {
  std::vector<Move> moves;  // the most useful first
  std::vector<Candidate> candidates;
};

}  // namespace om::balance

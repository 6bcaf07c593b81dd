// SPDX-License-Identifier: Apache-2.0
//
// What every policy keeps to, whatever its numbers say: who may leave, who may be a target, what fits where. Here are
// also the targets of one decision, which change while it chooses one move after the other.
#pragma once

#include <stddef.h>

#include <vector>

#include "balance/decision.h"
#include "balance/view.h"

namespace om::balance {

struct Target {
  const NodeLoad* node = nullptr;
  double k = 0;                         // with what this decision has sent there
  double free = 0;                      // likewise
  Against general = Against::kNothing;  // against it as a target of any process
  bool used = false;                    // one departure per target and turn
  double join = 0;                      // of one thread
  double key = 0;  // `join`, those within Constants::tie in the order of chance
};

// Between 0 and 1; the same for the same arguments. So chance does not depend on the order of nodes in a view.
double chance(uint64_t seed, NodeId node, uint64_t more = 0);

// All other nodes, and this one if a process is elsewhere and may come home. The best first.
std::vector<Target> targets_of(const View& view, uint64_t seed);

// Against any move of a process.
Against against_process(const View& view, const ProcessLoad& process);
// Against a process going to a target: the general reasons too, of which those that are about guests do not count for
// its own home. kNotChosen if it is there already.
Against against_pair(const View& view, const ProcessLoad& process, const Target& target);

// Bytes that have to be free at a target.
double room_needed(const Constants& constants, const NodeLoad& target, double resident_bytes);

// How long a process would be frozen on its way to a target: through home if neither end is its home.
double frozen_s(const View& view, const ProcessLoad& process, const NodeLoad& target);

// The numbers of the model for one process and one target. here_k: runnable threads where the process is.
Terms weigh(const View& view, const ProcessLoad& process, double here_k, const Target& target);
// What those numbers say.
Against against_terms(const View& view, const ProcessLoad& process, const Terms& terms);

// A move of the view's process to a target, with the cause that its numbers show; takes the room at the target.
Move make_move(const View& view, size_t process, Target& target, const Terms& terms);

}  // namespace om::balance

// SPDX-License-Identifier: Apache-2.0
//
// The other half of a move: the target judges by what it knows of itself. News travel for seconds; without asking,
// nodes send twice as often, and to a node that others have filled.
#pragma once

#include "balance/decision.h"
#include "balance/view.h"

namespace om::balance {

// What comes with the request to take a process in. Everything may be a lie: it only decides whether this node takes a
// process that it could refuse for no reason at all.
struct Ask {
  double threads = 1;
  double resident_bytes = 0;
  uint8_t feature_class = 0;
  bool judged = false;  // by the numbers below; otherwise a user or another policy wants it so
  double leave = 0;     // per unit of work, at the other end, calls counted
  double join = 0;      // what was expected here
  double weight = 0;    // expected work, calls counted
  double net = 0;       // seconds that the move was to save
};

// Of a decision's move; `process` as the view had it.
Ask ask_for(const ProcessLoad& process, const Move& move, bool judged);
Ask ask_for(const NewJob& job, const Move& move, bool judged);

// kNothing: it may come. `self`: k with all arrivals under way, free memory without what they will need. kBusy: the
// numbers no longer say so here.
Against admit(const NodeLoad& self, const Ask& ask, const Constants& constants = kConstants);

}  // namespace om::balance

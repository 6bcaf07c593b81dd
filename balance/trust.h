// SPDX-License-Identifier: Apache-2.0
//
// How far a node believes what another one says of itself. Everything in an entry may be a lie; what is true shows in
// the CPU time that guests get there. A node that has not shown anything yet gets at most Constants::unproven processes
// from this one, and one whose guests get less than half of what it promised none for ten minutes.
#pragma once

#include <stddef.h>

#include <unordered_map>

#include "balance/constants.h"
#include "balance/model.h"
#include "common/base/node_id.h"

namespace om::balance {

// CPUs that each of k threads gets on a node that tells the truth.
double promised_share(const Machine& machine, double k);

class Trust {
 public:
  explicit Trust(const Constants& constants = kConstants) : constants_(constants) {}

  bool may_send(NodeId node, double now_s) const;
  // A process goes there.
  void sent(NodeId node);
  // A process that was there has left or ended before it could be judged.
  void gone(NodeId node);
  // What a process got there since it came or was last judged, in CPU seconds, beside what the node's entries promised
  // for the time in which the process did not wait for calls at home. Called once for each process after
  // Constants::judged_after_s there (`first`), then every few seconds.
  void measured(NodeId node, double now_s, double cpu_s, double promised_s, bool first);
  // Down or left: what it does when it comes again is seen anew.
  void forget(NodeId node) { nodes_.erase(node); }

  size_t size() const { return nodes_.size(); }

 private:
  struct Record {
    unsigned unproven = 0;  // processes there that were not judged yet
    double bad_until_s = 0;
    // Of the last few seconds, decayed at each measurement.
    double cpu_s = 0;
    double promised_s = 0;
  };

  Constants constants_;
  std::unordered_map<NodeId, Record> nodes_;
};

}  // namespace om::balance

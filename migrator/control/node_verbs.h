// SPDX-License-Identifier: Apache-2.0
//
// The verbs about nodes: this one and its peers.
#pragma once

#include "migrator/control/subjects.h"

namespace om::migrator {

class NodeVerbs {
 public:
  explicit NodeVerbs(const Services& services) : services_(services) {}

  void version(const Caller&, const Json&, Answerer);
  void nodes(const Caller&, const Json&, Answerer);

  // The others change the node: only for those who administer it (rights.h).
  void reload_peers(const Caller&, const Json&, Answerer);
  void reload_credentials(const Caller&, const Json&, Answerer);
  void set_peers(const Caller&, const Json&, Answerer);
  // Brings home every process that is away.
  void recall(const Caller&, const Json&, Answerer);

 private:
  const Services& services_;
};

}  // namespace om::migrator

// SPDX-License-Identifier: Apache-2.0
//
// Kicks the body's threads on behalf of home. Merges kicks for a keeper that does not answer: what waits for it must
// fit into its connection's buffers, or the connection counts as broken.
#pragma once

#include <kj/async.h>

#include <set>
#include <vector>

#include "deputy/session/session.h"

namespace om::deputy {

class Kicks {
 public:
  Kicks(Session& session, kj::TaskSet& tasks) : session_(session), tasks_(tasks) {}

  void kick(const std::vector<uint32_t>& slots);
  // The session is a new one: what was under way has reached nobody.
  void start_over();

 private:
  void send();

  Session& session_;
  kj::TaskSet& tasks_;
  std::set<uint32_t> slots_;  // while too many are not answered yet
  uint32_t under_way_ = 0;
};

}  // namespace om::deputy

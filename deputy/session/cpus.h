// SPDX-License-Identifier: Apache-2.0
//
// While the process is away, its threads at home have the CPUs that the program, or somebody at home, has given them;
// those of the body follow. We tell the keeper about all threads each time: before the body runs, when the program has
// changed something (the call waits for it in the gate), when a keeper has come back, and every second as long as a
// thread may not run everywhere. What the keeper makes of it on a node with other CPUs: session.capnp.
#pragma once

#include <kj/async.h>
#include <stdint.h>

#include <vector>

#include "deputy/home/home_side.h"
#include "deputy/session/session.h"

namespace om::deputy {

class Cpus {
 public:
  Cpus(const HomeSide& home, Session& session, kj::TaskSet& tasks)
      : home_(home), session_(session), tasks_(tasks) {}

  // Tells the keeper; with `always`, even if there is nothing to say.
  kj::Promise<void> send(schema::Body::Client& body, bool always);
  // The same as a task, one at a time.
  void follow(bool always);
  // The session is a new one.
  void start_over() { under_way_ = again_ = false; }

 private:
  struct ThreadCpus {
    uint32_t slot;
    std::vector<uint64_t> mask;
  };
  std::vector<ThreadCpus> threads(uint32_t slots) const;

  const HomeSide& home_;
  Session& session_;
  kj::TaskSet& tasks_;
  bool restricted_ = false;  // the keeper has heard of threads that may not run everywhere
  bool under_way_ = false;   // a message to it is under way
  bool again_ = false;       // and another is to follow
};

}  // namespace om::deputy

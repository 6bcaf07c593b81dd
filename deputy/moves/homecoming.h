// SPDX-License-Identifier: Apache-2.0
//
// The way home. Every thread leaves libom: one that computes gets its registers, one whose call is finished gets the
// result, one whose call still blocks gets the call itself back (the kernel restarts it at the program's own
// instruction). Afterwards nothing of ours is active in the process.
//
// Until restore_threads() has decided (kHomeReturning), a failure means that the body goes on. If this program dies
// before that, the executors go on as well, by their frames, and another deputy takes the process over (takeover.cc);
// if it dies later, that deputy completes the return from what is in the slots. Nothing after the decision has a time
// limit: we wait for threads that do not stop as long as they live.
#pragma once

#include <string>
#include <vector>

#include "common/schema/session.capnp.h"
#include "deputy/moves/body_threads.h"
#include "deputy/moves/record.h"
#include "deputy/process.h"

namespace om::deputy {

// Brings the process home, and tells om-migrator. Preconditions: top level, no other move.
MoveRecord come_home(Process& process);

class Homecoming {
 public:
  // Both outlive the object.
  Homecoming(Process& process, MoveRecord& record)
      : process_(process), home_(process.home), session_(process.session), record_(record) {}

  // ALREADY_THERE, OUT_OF_REACH, HOME_MEMORY, UNINTERRUPTIBLE, INTERNAL: the process is away as before. KJ exception if
  // the keeper's connection fails; the caller then has the keeper let the body go on.
  Step run();

 private:
  Step bring_home(schema::Body::Client& body);
  Step stop_home(const Description& body, const ReturningThreads& threads);
  Step settle_and_restore(StoppedProcess& stop, const Description& body);
  Verdict<ReturningThreads> read_body(const Description& body);
  Step wait_for_calls(const std::vector<ThreadState>& states);
  Step restore_memory_around(StoppedProcess& stop, const Description& body);
  Step restore_memory(StoppedProcess& stop, const Description& body);

  Process& process_;
  HomeSide& home_;
  Session& session_;
  MoveRecord& record_;
};

}  // namespace om::deputy

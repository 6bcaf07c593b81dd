// SPDX-License-Identifier: Apache-2.0
//
// Departure. Until home has decided, every failure means: put back what was changed and let the threads run.
//
//   look, ask, prepare the keeper     the program runs
//   stop, look again, describe, ship  stopped, nothing changed but libom's own memory
//   connect, catchers                 stopped, can be undone (home/leave.h)
//   registers, commit flag, detach    home becomes the deputy
//   COMMIT to the keeper              the body runs; a failure is a lost session (commit.h)
#pragma once

#include <string>

#include "common/movable/preflight.h"
#include "common/proc/status.h"
#include "deputy/home/ask.h"
#include "deputy/memory/address_space.h"
#include "deputy/memory/objects.h"
#include "deputy/moves/limits.h"
#include "deputy/moves/record.h"
#include "deputy/process.h"

namespace om::deputy {

// Moves the process from home to the node `to`, and tells om-migrator. Preconditions: top level, no other move. KJ
// exception if home has decided and this deputy cannot go on: another one takes the process over.
MoveRecord depart(Process& process, const std::string& to);

// One attempt.
class Departure {
 public:
  // All outlive the object.
  Departure(Process& process, const std::string& to, MoveRecord& record)
      : process_(process),
        home_(process.home),
        session_(process.session),
        to_(to),
        record_(record),
        objects_(process.home) {}

  // Any code of docs/REASONS.md: the process runs on at home as if no move had been asked for. KJ exception if the
  // keeper's connection fails: the same, unless the process is away by then.
  Step run();
  // After run() has failed: whether what was prepared while the program ran no longer fitted it once it was stopped.
  // Another attempt may succeed.
  bool is_outdated() const;

 private:
  Step prepare_keeper();
  Step call_keeper(const OfferedProcess& offer);
  Step choose_arena(uint32_t threads);
  Verdict<StoppedProcess> stop(const ProcessReport& before);
  Step look_again(const ProcessReport& before);
  Step capture(StoppedProcess& stop);
  Step ship();
  Step connect(StoppedProcess& stop);
  void let_stay(StoppedProcess& stop);

  Process& process_;
  HomeSide& home_;
  Session& session_;
  const std::string& to_;
  MoveRecord& record_;
  ProcessReport report_;  // of the stopped process
  AddressSpace space_;
  MemoryObjects objects_;
  Settings settings_;
  InheritedLimits limits_;  // as sent to the keeper
  bool outdated_ = false;
};

}  // namespace om::deputy

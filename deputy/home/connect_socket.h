// SPDX-License-Identifier: Apache-2.0
//
// The deputy socket between libom in the stopped home process and us. libom's descriptors have numbers above the
// program's, mostly above its soft limit as well.
#pragma once

#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <optional>

#include "deputy/home/home_side.h"

namespace om::deputy {

// As long as this lives, the process may have descriptors below `numbers`, whatever its soft limit.
class LiftedFiles {
 public:
  LiftedFiles(pid_t pid, uint64_t numbers);
  ~LiftedFiles();
  LiftedFiles(const LiftedFiles&) = delete;
  LiftedFiles& operator=(const LiftedFiles&) = delete;

 private:
  pid_t pid_;
  std::optional<rlimit> before_;
};

// Makes the connection, by injected calls in the first thread. Preconditions: home.socket is set.
Step connect_socket(HomeSide& home, StoppedProcess& stop);
// Makes a new connection if another deputy had it, or had not made it yet. Preconditions: threads are in the arena.
// NO_SUCH_PROCESS.
Step meet(HomeSide& home, StoppedProcess& stop);

}  // namespace om::deputy

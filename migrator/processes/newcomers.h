// SPDX-License-Identifier: Apache-2.0
//
// Processes that users name before they have finished starting: `om run JOB & om migrate $!`. The shell's child may not
// have executed om yet, nor om the job, nor ld.so loaded libom.so. Requests about such a process wait a few seconds for
// it and check repeatedly.
#pragma once

#include <sys/types.h>

#include <functional>
#include <list>
#include <memory>

#include "common/base/clock.h"
#include "common/uv/loop.h"

namespace om::migrator {

enum class Beginning {
  kOver,
  kExec,         // exec has not happened yet, or libom.so is not loaded
  kConstructor,  // libom's constructor has not run
};
// `pid`: as returned by ProcessTable::resolve(). Only a young process can be a newcomer.
Beginning beginning_of(pid_t pid);

class Newcomers {
 public:
  Newcomers(Loop& loop, const Clock& clock) : loop_(loop), clock_(clock) {}

  // Calls `then` when the process that `find` returns is no longer a newcomer, or has been one for too long. Calls it
  // before returning if the process is not one, or if too many requests wait already. `whole`: also waits for the
  // constructor, for a second.
  void wait(std::function<pid_t()> find, bool whole, std::function<void()> then);

 private:
  struct Waiting {
    std::function<pid_t()> find;
    bool whole;
    std::function<void()> then;
    MonotonicTime since;
    Milliseconds pause;  // until the next check; longer each time
    std::unique_ptr<Timer> timer;
  };
  bool go_on_waiting(const std::function<pid_t()>& find, bool whole, MonotonicTime since) const;
  void look_again(std::list<Waiting>::iterator one);

  Loop& loop_;
  const Clock& clock_;
  std::list<Waiting> waiting_;
};

}  // namespace om::migrator

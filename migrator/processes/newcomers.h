// SPDX-License-Identifier: Apache-2.0
//
// Processes that their users name before they are what they are going to be: `om run JOB & om migrate $!`. The shell's
// child may not have executed om yet, nor om the job, nor ld.so loaded libom.so. Requests about such a process wait a
// few seconds for it, looking again and again.
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
  kExec,         // of a program, or libom.so is not loaded into it yet
  kConstructor,  // libom's has not run
};
// `pid`: as ProcessTable::resolve() gives it. Only a young process can be a newcomer.
Beginning beginning_of(pid_t pid);

class Newcomers {
 public:
  Newcomers(Loop& loop, const Clock& clock) : loop_(loop), clock_(clock) {}

  // Calls `then` when the process that `find` gives is no newcomer any more, or has been one for too long; in this
  // call if it is none, or too many are waited for. `whole`: the constructor is waited for as well, for a second.
  void wait(std::function<pid_t()> find, bool whole, std::function<void()> then);

 private:
  struct Waiting {
    std::function<pid_t()> find;
    bool whole;
    std::function<void()> then;
    MonotonicTime since;
    Milliseconds pause;  // until the next look; longer each time
    std::unique_ptr<Timer> timer;
  };
  bool go_on_waiting(const std::function<pid_t()>& find, bool whole, MonotonicTime since) const;
  void look_again(std::list<Waiting>::iterator one);

  Loop& loop_;
  const Clock& clock_;
  std::list<Waiting> waiting_;
};

}  // namespace om::migrator

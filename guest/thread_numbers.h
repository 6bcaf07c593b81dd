// SPDX-License-Identifier: Apache-2.0
//
// The numbers of a body's threads: in a PID namespace of its own it has others than this node. What the body says of
// them is not believed: a number that no thread of it has leads nowhere.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>

namespace om::guest {

class ThreadNumbers {
 public:
  // `apart`: the body has numbers of its own.
  explicit ThreadNumbers(bool apart = false) : apart_(apart) {}

  // This node's number of the thread of process `pid` that has number `tid` in there; 0 if there is none.
  pid_t outer(pid_t pid, pid_t tid);
  // The thread with that number has ended. False: then there is no other that could have it.
  bool forget(pid_t tid) { return outer_.erase(tid) != 0; }

 private:
  void look(pid_t pid, bool again);

  bool apart_;
  std::map<pid_t, pid_t> outer_;                    // by the body's own
  std::map<pid_t, pid_t> inner_;                    // by this node's
  std::chrono::steady_clock::time_point looked_{};  // at all of them
};

}  // namespace om::guest

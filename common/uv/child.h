// SPDX-License-Identifier: Apache-2.0
//
// Children of a program with a uv loop. Forking, waiting for exec and opening files can take long on a busy machine, so
// a thread of the pool does that and reports the outcome to the loop. A pidfd reports how a child ends.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "common/base/unique_fd.h"
#include "common/uv/loop.h"

namespace om {

struct ChildSpec {
  std::string program;                   // a path; PATH is not searched
  std::vector<std::string> arguments;    // without argv[0]
  std::vector<std::string> environment;  // "NAME=value", complete
  std::vector<int> descriptors;  // element i becomes the child's descriptor i; -1: /dev/null
  std::vector<std::shared_ptr<UniqueFd>>
      held;  // those of them to close here once the child has them
  std::optional<std::pair<uid_t, gid_t>> owner;  // runs as these, without supplementary groups
  std::string directory = "/";
  // Files that "0" is written to first, with the rights of this process: it enters control groups by them.
  std::vector<std::string> entered;
};

// A child in a session of its own. It outlives this object and the program: restarting a daemon must not touch it.
class Child {
 public:
  // The pid of the executed program, or why exec failed. Called once, from the loop.
  using StartCallback = std::function<void(Result<pid_t>)>;
  // (exit code, signal): one of them is 0. Called once, from the loop, after a successful start.
  using ExitCallback = std::function<void(int64_t, int)>;

  Child(Loop& loop, ChildSpec spec, StartCallback on_started, ExitCallback on_exit);
  ~Child();  // callbacks are not called after this
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace om

// SPDX-License-Identifier: Apache-2.0
//
// Whether a process stands still, by job control or by a debugger that is not this process. The deputy looks ten times
// a second: the file stays open, and one thread's is read, which costs least.
#pragma once

#include <sys/types.h>

#include "common/base/unique_fd.h"

namespace om::deputy {

class JobControl {
 public:
  explicit JobControl(pid_t pid) : pid_(pid) {}
  bool stands_still();

 private:
  pid_t pid_;
  UniqueFd stat_;
};

}  // namespace om::deputy

// SPDX-License-Identifier: Apache-2.0
//
// Whether job control, or a debugger other than this process, has stopped a process. The deputy looks ten times a
// second, so it keeps the file open and reads only one thread's, which costs least.
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

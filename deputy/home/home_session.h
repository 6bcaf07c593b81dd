// SPDX-License-Identifier: Apache-2.0
//
// Descriptors of libom's have numbers above the program's, mostly above its soft limit as well.
#pragma once

#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <optional>

namespace om::deputy {

// The process may have descriptors below `numbers` as long as this lives, whatever its soft limit.
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

}  // namespace om::deputy

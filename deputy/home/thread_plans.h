// SPDX-License-Identifier: Apache-2.0
//
// What each thread of a process that leaves, or has left, was doing when it was stopped, by slot.
#pragma once

#include <cstddef>
#include <vector>

#include "deputy/home/classify.h"

namespace om::deputy {

struct ThreadPlans {
  std::vector<ThreadPlan> threads;
  std::vector<std::vector<std::byte>> xsaves;  // of each

  void clear() {
    threads.clear();
    xsaves.clear();
  }
};

}  // namespace om::deputy

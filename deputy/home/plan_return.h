// SPDX-License-Identifier: Apache-2.0
//
// What a stopped executor's thread needs for the program to go on at home: registers, mask, and the signals still to be
// delivered.
#pragma once

#include <sys/user.h>

#include <vector>

#include "deputy/home/home_side.h"
#include "libom/abi/home.h"
#include "libom/abi/thread.h"

namespace om::deputy {

// One thread's return: what its registers have to be for the program to go on.
struct ThreadReturn {
  user_regs_struct regs{};
  uint64_t sigmask = 0;
  std::vector<SignalRecord> signals;  // caught, not yet delivered: raised again natively
  bool apply = false;                 // outputs of the kept Return go to memory first
  bool late = false;                  // stays in libom until its transfer is complete
};

// `s` is what the body says about the thread, `h` its slot at home. Also writes to the program's memory how much time a
// select or ppoll that goes on has left. INTERNAL if home and body do not match.
Verdict<ThreadReturn> plan_return(const HomeSide& home, const StoppedThread& t, const HomeThread& h,
                                  const ThreadState& s);

}  // namespace om::deputy

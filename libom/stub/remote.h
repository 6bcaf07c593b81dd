// SPDX-License-Identifier: Apache-2.0
//
// How an executor gets back to the program.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Returns to the program: the process is home and this thread's call has ended.
// Context: exec
[[noreturn]] void finish_late(HomeThread* t);
// The same if the process is home, or the departure's deputy died before home had decided; otherwise returns.
// Context: exec
void leave_if_home(HomeThread* t);

}  // namespace om::stub

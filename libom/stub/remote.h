// SPDX-License-Identifier: Apache-2.0
//
// Ways back to the program from an executor.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// The process is home and this thread's call has ended: back to the program.
// Context: exec
[[noreturn]] void finish_late(HomeThread* t);
// The same for a departure whose deputy died before home had decided; returns if this is not so.
// Context: exec
void leave_if_home(HomeThread* t);

}  // namespace om::stub

// SPDX-License-Identifier: Apache-2.0
//
// One Call at home, from what came to its result.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Executes c and leaves the result in c.exec and the outputs packed (pack()).
// Context: exec
void execute(HomeCall& c);
// Finds the row of exec.nr with its command's arguments put in. nullptr when there is none.
// Context: exec
const SyscallDesc* row_of(HomeThread* t, SyscallDesc& storage);
// The generic way, for a home function that only had to look at the arguments first.
// Context: exec
long generic(HomeCall& c);

}  // namespace om::stub

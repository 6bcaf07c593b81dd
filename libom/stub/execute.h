// SPDX-License-Identifier: Apache-2.0
//
// Executes one Call at home, from its message to its result.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Executes c and leaves the result in c.exec and the outputs packed (pack()).
// Context: exec
void execute(HomeCall& c);
// Finds the row of exec.nr, with its command's arguments merged in. nullptr if there is none.
// Context: exec
const SyscallDesc* row_of(HomeThread* t, SyscallDesc& storage);
// Executes the call the generic way, for home functions that only have to check the arguments first.
// Context: exec
long generic(HomeCall& c);

}  // namespace om::stub

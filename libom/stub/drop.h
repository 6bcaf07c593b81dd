// SPDX-License-Identifier: Apache-2.0
//
// Gives back the program's memory at home once the body has acted.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Notes that the call blocks on memory of the program at home, which must stay (until program_memory is empty again).
// Context: exec
void use_program_memory(HomeExec& e, uint64_t address, uint64_t bytes);
// Gives the program's memory back, once.
// Context: exec
void drop_memory();

}  // namespace om::stub

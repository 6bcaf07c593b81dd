// SPDX-License-Identifier: Apache-2.0
//
// Files that do not change while a body has copies of them.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// May a shared mapping of this descriptor, which the program cannot write through, be a copy in the body.
// Context: exec
bool is_steady_file(uint64_t fd);

}  // namespace om::stub

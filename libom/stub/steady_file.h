// SPDX-License-Identifier: Apache-2.0
//
// Files that do not change while a body has copies of them.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Whether a shared mapping of this descriptor, which the program cannot write through, may be a copy in the body.
// Context: exec
bool is_steady_file(uint64_t fd);

}  // namespace om::stub

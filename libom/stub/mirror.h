// SPDX-License-Identifier: Apache-2.0
//
// What the body does to its address space, done at home as well.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Repeats at home what the body has done to its address space. Nobody waits unless `waited`: a failure is kept
// and tried again. Result or -errno.
// Context: exec
long mirror_call(const MirrorCall& call, bool waited);
// Everything on record. 0, or -ENOMEM: something still fails.
// Context: exec
long repeat_mirror_calls();

}  // namespace om::stub

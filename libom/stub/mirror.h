// SPDX-License-Identifier: Apache-2.0
//
// Mirrors the body's address-space calls at home.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Repeats at home what the body has done to its address space. Unless somebody waits (`waited`), a failure is recorded
// and tried again later. Result or -errno.
// Context: exec
long mirror_call(const MirrorCall& call, bool waited);
// Repeats everything on record. 0, or -ENOMEM: something still fails.
// Context: exec
long repeat_mirror_calls();

}  // namespace om::stub

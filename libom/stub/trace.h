// SPDX-License-Identifier: Apache-2.0
//
// What executors write down for `om trace`.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// For `om trace` (trace.cc): when the call began, 0 if nobody looks; and that it has ended.
uint64_t trace_begin();
void trace_end(HomeThread* t, uint64_t begun);

}  // namespace om::stub

// SPDX-License-Identifier: Apache-2.0
//
// What executors record for `om trace`.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// For `om trace` (trace.cc): the time when a call begins, 0 if nobody watches; and a record once it has ended.
uint64_t trace_begin();
void trace_end(HomeThread* t, uint64_t begun);

}  // namespace om::stub

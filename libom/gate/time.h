// SPDX-License-Identifier: Apache-2.0
//
// CPU time of the body.
#pragma once

#include "libom/gate/gate.h"

namespace om::gate {

// CPU time (ns) of the calling thread, or of all threads, in this body.
// Context: gate
int64_t body_cpu_ns(bool thread);

}  // namespace om::gate

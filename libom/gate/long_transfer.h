// SPDX-License-Identifier: Apache-2.0
//
// More than one Call has room for.
#pragma once

#include "libom/gate/gate.h"

namespace om::gate {

// A transfer of more bytes than a Call may have. What the descriptor is decides (kNrTransfer).
// Context: gate
long long_transfer(GateCall& c);

}  // namespace om::gate

// SPDX-License-Identifier: Apache-2.0
//
// Transfers that are too long for one Call.
#pragma once

#include "libom/gate/gate.h"

namespace om::gate {

// Does a transfer of more bytes than a Call may have. The kind of descriptor decides how (kNrTransfer).
// Context: gate
long long_transfer(GateCall& c);

}  // namespace om::gate

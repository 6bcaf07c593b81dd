// SPDX-License-Identifier: Apache-2.0
//
// sendmsg, recvmsg and their likes, in the layout of libom/abi/msgwire.h.
#pragma once

#include "libom/gate/gate.h"

namespace om::gate {

// Message calls have outputs that no row describes.
bool takes_messages(uint32_t nr);
long resume_messages(GateCall& c);

}  // namespace om::gate

// SPDX-License-Identifier: Apache-2.0
//
// sendmsg, recvmsg and the like, in the layout of libom/abi/msgwire.h.
#pragma once

#include "libom/gate/gate.h"

namespace om::gate {

// Resumes a message call (is_message_call) of a thread that was moved while it waited.
// Context: gate
long resume_messages(GateCall& c);

}  // namespace om::gate

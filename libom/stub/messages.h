// SPDX-License-Identifier: Apache-2.0
//
// sendmsg, recvmsg and the like, in the layout of libom/abi/msgwire.h.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Packs the outputs of a transplanted message call.
// Context: exec
void pack_messages(HomeThread* t);
// Writes the outputs of a message call to the program's memory at home (the thread came home while it waited).
// Context: exec
long apply_messages(HomeThread* t);

}  // namespace om::stub

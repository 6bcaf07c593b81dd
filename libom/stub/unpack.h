// SPDX-License-Identifier: Apache-2.0
//
// From a Call to kernel arguments.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Takes `bytes` of input memory (padded to 8); nullptr if the Call has fewer.
// Context: exec
const uint8_t* take_ins(HomeCall& c, uint64_t bytes);
// Builds exec_args from args, ins and fresh bounce memory. 0 or -errno (malformed Call: -EPROTO; -EINTR: not to be
// executed here, see leave_it_to_program).
// Context: exec
long unpack(HomeCall& c);
// Brings the process home to make the call itself: the Call has done nothing yet and cannot be executed. -EINTR.
// Context: exec
long leave_it_to_program(HomeCall& c);

}  // namespace om::stub

// SPDX-License-Identifier: Apache-2.0
//
// The rest of a call that a stop has cut short.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Whether the call ended after `done` bytes or messages although the program asked for more, for no reason that it
// knows of.
// Context: exec
bool is_cut_short(HomeThread* t, long done);
// Whether a timeout of its socket ends the call.
// Context: exec
bool has_socket_timeout(HomeThread* t);
// Does the rest of the call after `done` or, if that is 0 or less, all of a call with a timeout of its socket. The
// result of the whole call. While it blocks, exec.done is what has been transferred.
// Context: exec
long do_rest_of_call(HomeThread* t, long done);

}  // namespace om::stub

// SPDX-License-Identifier: Apache-2.0
//
// What is left of a call that a stop has cut short.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Whether the call ended after `done` bytes or messages although more were asked for, for no reason that the program
// knows.
// Context: exec
bool is_cut_short(HomeThread* t, long done);
// Whether a timeout of its socket ends the call.
// Context: exec
bool has_socket_timeout(HomeThread* t);
// Does what is left after `done`, or, if that is no more than 0, of a call under a timeout of its socket all of it.
// The result of the whole. While it blocks, exec.done is what has been transferred.
// Context: exec
long do_rest_of_call(HomeThread* t, long done);

}  // namespace om::stub

// SPDX-License-Identifier: Apache-2.0
//
// The loop of an executor: one Call after the other.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Takes messages from the channel for ever.
// Context: exec
[[noreturn]] void serve(HomeThread* t);
// Sends the kept Return of t->exec.
// Context: exec
void send_return(HomeThread* t);
// A finished call waits here while the deputy holds the process.
// Context: exec
void wait_while_held(HomeThread* t);

}  // namespace om::stub

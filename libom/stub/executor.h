// SPDX-License-Identifier: Apache-2.0
//
// The loop of an executor: one Call after another.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Serves messages from the channel forever.
// Context: exec
[[noreturn]] void serve(HomeThread* t);
// Sends the kept Return of t->exec.
// Context: exec
void send_return(HomeThread* t);
// Makes a finished call wait while the deputy holds the process.
// Context: exec
void wait_while_held(HomeThread* t);

}  // namespace om::stub

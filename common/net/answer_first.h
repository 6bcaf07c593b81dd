// SPDX-License-Identifier: Apache-2.0
//
// For an end of an RPC connection that serves a peer it does not trust. KJ queues what is to be written without limit:
// a peer that calls and never reads the answers would fill this process's memory. With this nothing is read as long
// as something is still to be written, and what was read before has been heard. Not for both ends: two that wait like
// that may wait for each other.
#pragma once

#include <kj/async-io.h>

namespace om {

kj::Own<kj::AsyncIoStream> answer_first(kj::Own<kj::AsyncIoStream> stream);

}  // namespace om

// SPDX-License-Identifier: Apache-2.0
//
// Wraps the stream of an RPC connection that serves an untrusted peer. KJ queues writes without limit: a peer that
// calls and never reads the answers would fill this process's memory. The wrapped stream is read only when nothing is
// left to write and everything read before has been processed. Never use it at both ends: each could wait for the
// other.
#pragma once

#include <kj/async-io.h>

namespace om {

kj::Own<kj::AsyncIoStream> answer_first(kj::Own<kj::AsyncIoStream> stream);

}  // namespace om

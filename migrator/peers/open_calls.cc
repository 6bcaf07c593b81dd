// SPDX-License-Identifier: Apache-2.0
#include "migrator/peers/open_calls.h"

#include <capnp/message.h>
#include <capnp/rpc.capnp.h>
#include <kj/debug.h>
#include <kj/io.h>

namespace om::migrator {

kj::Promise<kj::Maybe<capnp::MessageReaderAndFds>> OpenCalls::tryReadMessage(
    kj::ArrayPtr<kj::AutoCloseFd> descriptors, capnp::ReaderOptions options,
    kj::ArrayPtr<capnp::word> scratch) {
  return messages_.tryReadMessage(descriptors, options, scratch)
      .then([this](kj::Maybe<capnp::MessageReaderAndFds>&& message) {
        KJ_IF_MAYBE (read, message) count(*read->reader);
        return kj::mv(message);
      });
}

// A Finish for a call that is not open ends the connection, so no call is subtracted twice.
void OpenCalls::count(capnp::MessageReader& message) {
  auto root = message.getRoot<capnp::rpc::Message>();
  if (root.isCall() || root.isBootstrap()) {
    open_++;
    if (too_many())
      kj::throwFatalException(KJ_EXCEPTION(FAILED, "too many calls are not finished"));
  } else if (root.isFinish() && open_ > 0) {
    open_--;
  }
}

}  // namespace om::migrator

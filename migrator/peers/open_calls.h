// SPDX-License-Identifier: Apache-2.0
//
// Messages of an RPC connection on a byte stream, for a peer that is not trusted. KJ keeps what it has answered until
// the peer says that it has done with the answer (Finish): one that never does would fill this process's memory.
#pragma once

#include <capnp/serialize-async.h>

namespace om::migrator {

// KJ's interfaces have no virtual destructors: kj::Own destroys through the type it was made with.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class OpenCalls final : public capnp::MessageStream {
 public:
  // `stream` outlives it. With more than `most` calls that are not done with, reading fails.
  OpenCalls(kj::AsyncIoStream& stream, size_t most) : messages_(stream), most_(most) {}

  kj::Promise<kj::Maybe<capnp::MessageReaderAndFds>> tryReadMessage(
      kj::ArrayPtr<kj::AutoCloseFd> descriptors, capnp::ReaderOptions options,
      kj::ArrayPtr<capnp::word> scratch) override;
  kj::Promise<void> writeMessage(
      kj::ArrayPtr<const int> descriptors,
      kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>> segments) override {
    return messages_.writeMessage(descriptors, segments);
  }
  kj::Promise<void> writeMessages(
      kj::ArrayPtr<kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>>> messages) override {
    return messages_.writeMessages(messages);
  }
  kj::Maybe<int> getSendBufferSize() override { return messages_.getSendBufferSize(); }
  kj::Promise<void> end() override { return messages_.end(); }

 private:
  void count(capnp::MessageReader& message);

  capnp::AsyncIoMessageStream messages_;
  size_t most_;
  size_t open_ = 0;
};
#pragma GCC diagnostic pop

}  // namespace om::migrator

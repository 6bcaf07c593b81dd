// SPDX-License-Identifier: Apache-2.0
//
// The message stream of an RPC connection to an untrusted peer. KJ keeps answers until the peer releases them (Finish):
// a peer that never does would fill this process's memory.
#pragma once

#include <capnp/serialize-async.h>

namespace om::migrator {

// KJ's interfaces have no virtual destructors: kj::Own destroys through the type it was made with.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class OpenCalls final : public capnp::MessageStream {
 public:
  // `stream` must outlive it. With more than `most` unfinished calls, reading fails, and with it the connection and
  // every call on it.
  OpenCalls(kj::AsyncIoStream& stream, size_t most) : messages_(stream), most_(most) {}

  bool too_many() const { return open_ > most_; }

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

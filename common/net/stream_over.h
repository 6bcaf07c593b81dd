// SPDX-License-Identifier: Apache-2.0
//
// A KJ stream that does something of its own with what is read and written, and leaves the rest to the one below.
#pragma once

#include <kj/async-io.h>

namespace om {

// KJ's interfaces have no virtual destructors: kj::Own destroys through the type it was made with.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class StreamOver : public kj::AsyncIoStream {
 public:
  explicit StreamOver(kj::Own<kj::AsyncIoStream> inner) : inner_(kj::mv(inner)) {}
  KJ_DISALLOW_COPY(StreamOver);

  kj::Promise<void> whenWriteDisconnected() override { return inner_->whenWriteDisconnected(); }
  void shutdownWrite() override { inner_->shutdownWrite(); }
  void abortRead() override { inner_->abortRead(); }
  void getsockopt(int level, int option, void* value, kj::uint* length) override {
    inner_->getsockopt(level, option, value, length);
  }
  void setsockopt(int level, int option, const void* value, kj::uint length) override {
    inner_->setsockopt(level, option, value, length);
  }
  void getsockname(sockaddr* address, kj::uint* length) override {
    inner_->getsockname(address, length);
  }
  void getpeername(sockaddr* address, kj::uint* length) override {
    inner_->getpeername(address, length);
  }

 protected:
  kj::Own<kj::AsyncIoStream> inner_;
};
#pragma GCC diagnostic pop

}  // namespace om

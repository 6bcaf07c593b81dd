// SPDX-License-Identifier: Apache-2.0
//
// The session with home as the steps see it. Steps run on the top level, where they may wait, and only as long as the
// session lasts that asked for them.
#pragma once

#include <kj/async-io.h>
#include <kj/debug.h>
#include <stdint.h>

namespace om::guest {

class Session {
 public:
  explicit Session(kj::AsyncIoContext& io) : io_(io) {}

  // A new session has begun.
  void begin();
  // Ends whatever step is under way for it; steps that wait are skipped.
  void end();
  bool is_over() const { return over_; }
  // How many sessions there have been.
  uint32_t number() const { return number_; }

  // For steps: the result of `promise`; throws as soon as the session has ended.
  template <class T>
  T wait(kj::Promise<T>&& promise) {
    auto ended = end_.addBranch().then(
        []() -> kj::Promise<T> { return KJ_EXCEPTION(DISCONNECTED, "the session has ended"); });
    return promise.exclusiveJoin(kj::mv(ended)).wait(io_.waitScope);
  }
  // The same; also throws (OVERLOADED) when `limit` is over.
  template <class T>
  T wait(kj::Promise<T>&& promise, kj::Duration limit) {
    return wait(timer().timeoutAfter(limit, kj::mv(promise)));
  }
  void pause(kj::Duration time) { wait(timer().afterDelay(time)); }
  // In a long step: gives other tasks their turn; throws if the session has ended.
  void look_around();

 private:
  kj::Timer& timer() { return io_.provider->getTimer(); }

  kj::AsyncIoContext& io_;
  uint32_t number_ = 0;
  bool over_ = true;
  kj::Own<kj::PromiseFulfiller<void>> ended_;
  kj::ForkedPromise<void> end_ = nullptr;
};

}  // namespace om::guest

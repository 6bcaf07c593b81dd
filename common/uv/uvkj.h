// SPDX-License-Identifier: Apache-2.0
//
// KJ promises on a libuv loop, so that Cap'n Proto RPC can run in om-migrator, which has uv's loop.
//
// Rules:
//  - one UvKj per thread and loop; it makes the thread's kj::EventLoop current while it lives;
//  - the program calls Loop::run(); promises make progress from a prepare and a check handle, and an idle
//    handle keeps uv from sleeping while KJ has work. promise.wait(kj.wait_scope()) is for tests;
//  - there is no kj::Timer and no kj::UnixEventPort: use after() here, and uv for signals and children;
//  - a stream must outlive what is pending on it (KJ's own rule), everything made here must be gone before
//    the UvKj.
#pragma once

#include <kj/async-io.h>
#include <kj/async.h>
#include <kj/debug.h>
#include <uv.h>

#include "common/base/clock.h"
#include "common/base/unique_fd.h"
#include "common/net/address.h"
#include "common/uv/loop.h"

namespace om {

// KJ's interfaces have no virtual destructors: kj::Own destroys through the type it was made with.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class UvKj final : public kj::EventPort {
 public:
  explicit UvKj(Loop& loop);
  ~UvKj() noexcept(false);

  Loop& loop() { return loop_; }
  kj::WaitScope& wait_scope() { return wait_scope_; }

  // Fulfilled after `delay`; dropping the promise stops the timer.
  kj::Promise<void> after(Milliseconds delay);

  // kj::EventPort, for KJ only.
  bool wait() override;
  bool poll() override;
  void setRunnable(bool runnable) override;
  void wake() const override;

 private:
  struct Handles;
  void turn();

  Loop& loop_;
  Handles* handles_;
  bool runnable_ = false;
  bool woken_ = false;
  bool in_kj_ = false;  // inside kj::EventLoop::run() or wait(): KJ turns its own queue
  kj::EventLoop event_loop_;
  kj::WaitScope wait_scope_;
};
#pragma GCC diagnostic pop

// Takes ownership of a connected stream socket and makes it non-blocking. I/O errors become KJ exceptions of type
// DISCONNECTED.
kj::Own<kj::AsyncIoStream> wrap_socket(UvKj& kj, UniqueFd socket);

// Makes a TCP connection to `to` from the address `from` (its port is ignored; any address: the kernel chooses). There
// is no time limit: combine with after().
kj::Promise<kj::Own<kj::AsyncIoStream>> connect_tcp(UvKj& kj, const Address& from,
                                                    const Address& to);

// What an exception says, without where in the source.
inline std::string text_of(const kj::Exception& exception) {
  return exception.getDescription().cStr();
}

// The value, or a KJ exception of type FAILED with the Error's text.
template <class T>
T value_of(Result<T> result) {
  if (!result) kj::throwFatalException(KJ_EXCEPTION(FAILED, result.error().text().c_str()));
  return std::move(*result);
}

// `promise`, or a KJ exception of type OVERLOADED "what took longer than ..." after `limit`.
template <class T>
kj::Promise<T> with_limit(UvKj& kj, Milliseconds limit, const char* what,
                          kj::Promise<T>&& promise) {
  return promise.exclusiveJoin(kj.after(limit).then([limit, what]() -> kj::Promise<T> {
    return KJ_EXCEPTION(OVERLOADED, kj::str(what, " took longer than ", limit.count(), " ms"));
  }));
}

}  // namespace om

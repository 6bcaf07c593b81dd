// SPDX-License-Identifier: Apache-2.0
//
// Ownership for libuv: a loop and the few kinds of handle that om-migrator needs. libuv releases a handle only in its
// close callback, one turn later, so every wrapper keeps it in a box of its own and lets go of the box in its
// destructor. A wrapper may be destroyed at any time, even inside its own callback. Callbacks run on the loop's thread
// and must not throw. Wrappers must be destroyed before their Loop.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"

namespace om {

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  uv_loop_t* raw() { return &loop_; }

  // Runs until stop() is called or nothing is left that could happen.
  void run() { uv_run(&loop_, UV_RUN_DEFAULT); }
  // Runs one turn, waiting for an event if there is none.
  void run_once() { uv_run(&loop_, UV_RUN_ONCE); }
  void stop() { uv_stop(&loop_); }

 private:
  uv_loop_t loop_;
};

// A uv handle with its callback.
template <class Uv, class... Args>
class Handle {
 public:
  using Callback = std::function<void(Args...)>;
  struct Box {
    Uv uv;
    Callback callback;
  };

  Handle() : box_(new Box{}) { box_->uv.data = box_; }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (box_ == nullptr) return;
    uv_close(reinterpret_cast<uv_handle_t*>(&box_->uv),
             [](uv_handle_t* handle) noexcept { delete static_cast<Box*>(handle->data); });
  }

  // This handle no longer keeps the loop running.
  void unref() { uv_unref(reinterpret_cast<uv_handle_t*>(&box_->uv)); }

 protected:
  Box* box_;
};

class Timer : public Handle<uv_timer_t> {
 public:
  explicit Timer(Loop& loop);
  void start(Milliseconds delay, Callback callback);
  void start_repeating(Milliseconds period, Callback callback);
  void stop();

 private:
  void arm(Milliseconds delay, Milliseconds repeat, Callback callback);
};

// Watches the readiness of a descriptor, whose owner closes it after this object is gone. Callback: (status, events);
// status < 0 is a uv error. If the kernel accepts no more watches, error() says so, and the callback gets that error as
// soon as there are events to wait for.
class Poller : public Handle<uv_poll_t, int, int> {
 public:
  Poller(Loop& loop, int fd);
  int error() const { return error_; }  // 0, or a uv error
  void start(int events, Callback callback);
  // Other events, same callback.
  void change(int events);
  void stop();

 private:
  int events_ = 0;
  int error_ = 0;
  Callback failed_;                 // instead of box_->callback
  std::unique_ptr<Timer> instead_;  // of the handle
};

class SignalWatcher : public Handle<uv_signal_t> {
 public:
  SignalWatcher(Loop& loop, int signal, Callback callback);
};

// Runs `work` on a thread of uv's pool, then `done` on the loop's thread. `work` must not touch what the loop's thread
// uses.
void run_in_pool(Loop& loop, std::function<void()> work, std::function<void()> done);

}  // namespace om

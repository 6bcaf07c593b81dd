// SPDX-License-Identifier: Apache-2.0
#include "common/uv/loop.h"

#include <utility>

#include "common/base/assert.h"

namespace om {

Loop::Loop() { OM_ASSERT(uv_loop_init(&loop_) == 0); }

Loop::~Loop() {
  // Close callbacks run in a turn of the loop.
  uv_run(&loop_, UV_RUN_NOWAIT);
  while (uv_loop_close(&loop_) == UV_EBUSY) uv_run(&loop_, UV_RUN_ONCE);
}

Timer::Timer(Loop& loop) { OM_ASSERT(uv_timer_init(loop.raw(), &box_->uv) == 0); }

void Timer::arm(Milliseconds delay, Milliseconds repeat, Callback callback) {
  box_->callback = std::move(callback);
  // uv counts from the start of the turn: after a long turn a short timer would fire early.
  uv_update_time(box_->uv.loop);
  uv_timer_start(
      &box_->uv,
      [](uv_timer_t* handle) noexcept {
        // A copy, as the callback may start this timer again with another one.
        Callback run = static_cast<Box*>(handle->data)->callback;
        run();
      },
      static_cast<uint64_t>(delay.count()), static_cast<uint64_t>(repeat.count()));
}

void Timer::start(Milliseconds delay, Callback callback) {
  arm(delay, Milliseconds(0), std::move(callback));
}

void Timer::start_repeating(Milliseconds period, Callback callback) {
  arm(period, period, std::move(callback));
}

void Timer::stop() { uv_timer_stop(&box_->uv); }

Poller::Poller(Loop& loop, int fd) : error_(uv_poll_init(loop.raw(), &box_->uv, fd)) {
  if (error_ == 0) return;
  // The handle does not exist: the user's watches may be used up (ENOSPC). A timer reports that instead.
  delete std::exchange(box_, nullptr);
  instead_ = std::make_unique<Timer>(loop);
}

void Poller::start(int events, Callback callback) {
  if (error_ != 0) {
    failed_ = std::move(callback);
  } else {
    box_->callback = std::move(callback);
  }
  events_ = 0;
  change(events);
}

void Poller::change(int events) {
  if (events == events_) return;
  events_ = events;
  if (error_ != 0) {
    if (events == 0) return instead_->stop();
    return instead_->start(Milliseconds(0), [this] {
      Callback run = failed_;
      run(error_, 0);
    });
  }
  if (events == 0) {
    uv_poll_stop(&box_->uv);
    return;
  }
  uv_poll_start(&box_->uv, events, [](uv_poll_t* handle, int status, int ready) noexcept {
    Callback run = static_cast<Box*>(handle->data)->callback;
    run(status, ready);
  });
}

void Poller::stop() { change(0); }

SignalWatcher::SignalWatcher(Loop& loop, int signal, Callback callback) {
  OM_ASSERT(uv_signal_init(loop.raw(), &box_->uv) == 0);
  box_->callback = std::move(callback);
  auto on_signal = [](uv_signal_t* handle, int) noexcept {
    Callback run = static_cast<Box*>(handle->data)->callback;
    run();
  };
  OM_ASSERT(uv_signal_start(&box_->uv, on_signal, signal) == 0);
}

void run_in_pool(Loop& loop, std::function<void()> work, std::function<void()> done) {
  struct Job {
    uv_work_t uv;
    std::function<void()> work;
    std::function<void()> done;
  };
  auto* job = new Job{{}, std::move(work), std::move(done)};
  job->uv.data = job;
  auto run = [](uv_work_t* request) noexcept { static_cast<Job*>(request->data)->work(); };
  auto finish = [](uv_work_t* request, int) noexcept {
    std::unique_ptr<Job> finished(static_cast<Job*>(request->data));
    finished->done();
  };
  OM_ASSERT(uv_queue_work(loop.raw(), &job->uv, run, finish) == 0);
}

}  // namespace om

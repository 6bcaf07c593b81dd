// SPDX-License-Identifier: Apache-2.0
#include "common/loop.h"

#include <utility>

#include "common/assert.h"

namespace om {
namespace {

// An Error from a uv call: uv's codes are negative errno values on Linux.
Error uv_error(int status, std::string what) { return Error{-status, std::move(what)}; }

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

Loop::Loop() { OM_ASSERT(uv_loop_init(&loop_) == 0); }

Loop::~Loop() {
  // Close callbacks run in a turn of the loop.
  uv_run(&loop_, UV_RUN_NOWAIT);
  while (uv_loop_close(&loop_) == UV_EBUSY) uv_run(&loop_, UV_RUN_ONCE);
}

Timer::Timer(Loop& loop) { OM_ASSERT(uv_timer_init(loop.raw(), &box_->uv) == 0); }

void Timer::arm(Milliseconds delay, Milliseconds repeat, Callback callback) {
  box_->callback = std::move(callback);
  // uv counts from the start of the turn; a long turn would make a short timer fire early.
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

Poller::Poller(Loop& loop, int fd) { OM_ASSERT(uv_poll_init(loop.raw(), &box_->uv, fd) == 0); }

void Poller::start(int events, Callback callback) {
  box_->callback = std::move(callback);
  events_ = 0;
  change(events);
}

void Poller::change(int events) {
  if (events == events_) return;
  events_ = events;
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

struct Child::Box {
  uv_process_t uv;
  ExitCallback on_exit;
};

Result<std::unique_ptr<Child>> Child::spawn(Loop& loop, const ChildSpec& spec,
                                            ExitCallback on_exit) {
  std::vector<std::string> argument_texts = spec.arguments;
  argument_texts.insert(argument_texts.begin(), spec.program);
  std::vector<std::string> environment_texts = spec.environment;
  std::vector<char*> arguments = pointers(argument_texts);
  std::vector<char*> environment = pointers(environment_texts);
  std::vector<uv_stdio_container_t> stdio;
  for (int fd : spec.descriptors) {
    uv_stdio_container_t item{};
    item.flags = fd < 0 ? UV_IGNORE : UV_INHERIT_FD;
    item.data.fd = fd;
    stdio.push_back(item);
  }
  uv_process_options_t options{};
  options.file = spec.program.c_str();
  options.args = arguments.data();
  options.env = environment.data();
  options.cwd = spec.directory.c_str();
  options.flags = UV_PROCESS_DETACHED;  // setsid
  options.stdio = stdio.data();
  options.stdio_count = static_cast<int>(stdio.size());
  if (spec.owner) {
    options.flags |= UV_PROCESS_SETUID | UV_PROCESS_SETGID;  // uv drops supplementary groups first
    options.uid = spec.owner->first;
    options.gid = spec.owner->second;
  }
  options.exit_cb = [](uv_process_t* process, int64_t code, int signal) noexcept {
    ExitCallback run = static_cast<Box*>(process->data)->on_exit;
    if (run) run(code, signal);
  };
  auto* box = new Box{{}, std::move(on_exit)};
  box->uv.data = box;
  std::unique_ptr<Child> child(new Child(box));
  int status = uv_spawn(loop.raw(), &box->uv, &options);
  if (status != 0) return uv_error(status, "start " + spec.program);
  child->pid_ = box->uv.pid;
  return child;
}

Child::~Child() {
  // Also right after a failed uv_spawn, which has initialised the handle.
  box_->on_exit = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&box_->uv),
           [](uv_handle_t* handle) noexcept { delete static_cast<Box*>(handle->data); });
}

}  // namespace om

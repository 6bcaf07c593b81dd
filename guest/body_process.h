// SPDX-License-Identifier: Apache-2.0
//
// The body process as its keeper sees it: started through om-body, talked to over one unix socket (its descriptor 3),
// its memory written and read from outside. What it says comes from a guest and is checked.
//
// KJ event loop. The keeper is the parent; the body dies with it (PDEATHSIG).
#pragma once

#include <kj/async-io.h>
#include <kj/async-unix.h>
#include <sched.h>

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "common/base/unique_fd.h"
#include "common/proc/process_memory.h"
#include "guest/fresh_process.h"
#include "guest/thread_numbers.h"
#include "libom/abi/sockets.h"

namespace om::guest {

class BodyProcess {
 public:
  // `on_need_channel(slot)`: the body has lost a channel or needs one for a new thread.
  BodyProcess(kj::AsyncIoContext& io, std::function<void(uint32_t)> on_need_channel);
  ~BodyProcess() noexcept(false);

  // start() will use this process instead of a new one, if it can.
  void use(FreshProcess fresh) { fresh_.emplace(std::move(fresh)); }
  // Starts a fresh process. Errors by errno: ERANGE if it has no CPU to run on (CPU_COUNT); ENOTSUP if it cannot have
  // namespaces of its own and has to (BLOCKED).
  Result<void> start(const std::string& launcher, const BodyPlan& plan);
  void kill();
  // Kills it for misbehaving; ended() then gives `reason`.
  void end(const std::string& reason);
  // Preconditions: the process has executed the launcher.
  Result<void> open_memory();

  pid_t pid() const { return pid_; }
  // For BodyState.
  uint32_t cpu_limit() const { return cpu_limit_; }
  bool has_memory() const { return memory_.has_value(); }
  const ProcessMemory& memory() const { return *memory_; }
  bool running() const { return pid_ > 0 && !end_.ended; }

  Result<void> send(const BodyMessage& message, const void* more = nullptr, size_t more_bytes = 0,
                    int fd = -1);
  // The next message that is not a request for a channel.
  kj::Promise<BodyMessage> receive();
  // Resolves to how the process ended, once it has.
  kj::Promise<std::string> ended();
  // After a failure: whether the process has ended. If it is about to, blocks until it has, at most 10 s.
  // how_it_ended() then has text. False if kill() ended it.
  bool has_ended();
  const std::string& how_it_ended() const { return end_.how; }
  // Whether it was killed while this node's kernel was killing processes for lack of memory.
  bool ran_out_of_memory() const { return end_.out_of_memory; }

  // Lets the thread run on those CPUs of `mask`, a bit for each, that start() gave the body; on all of the body's if
  // there are none.
  void pin_thread(pid_t tid, const std::vector<uint64_t>& mask) const;
  // A thread by the number that the body has for it, which is not checked.
  void signal_thread(pid_t tid, int sig) const;
  void signal_leader(int sig) const;
  void signal_all(int sig) const;
  // What this node's number is for that thread of the body; 0 if there is none.
  pid_t outer_tid(pid_t tid) const { return numbers_.outer(pid_, tid); }

 private:
  kj::Promise<void> read_loop();
  kj::Promise<void> watch_end();
  void take_end();
  kj::Promise<void> read_on();
  bool read_messages();
  void file(const BodyMessage& message);

  // How it ended, and who waits for that.
  struct End {
    bool ended = false, out_of_memory = false;
    uint64_t oom_kills_before = 0;
    std::string how, panic, reason;  // reason: why end() killed it
    kj::Vector<kj::Own<kj::PromiseFulfiller<std::string>>> waiters;
  };
  struct Mail {
    std::deque<BodyMessage> messages;
    kj::Maybe<kj::Own<kj::PromiseFulfiller<BodyMessage>>> waiting;
  };

  class Errors final : public kj::TaskSet::ErrorHandler {
   public:
    void taskFailed(kj::Exception&& exception) override;
  };

  kj::AsyncIoContext& io_;
  std::function<void(uint32_t)> on_need_channel_;
  std::optional<FreshProcess> fresh_;  // until start()
  pid_t pid_ = 0;
  mutable ThreadNumbers numbers_;
  cpu_set_t cpus_{};  // that it may run on
  uint32_t cpu_limit_ = 0;
  End end_;
  Mail mail_;
  UniqueFd socket_, pidfd_;
  std::optional<ProcessMemory> memory_;
  kj::Own<kj::UnixEventPort::FdObserver> observer_, end_observer_;
  Errors errors_;
  kj::Own<kj::TaskSet> tasks_;
};

}  // namespace om::guest

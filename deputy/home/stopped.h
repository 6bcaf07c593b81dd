// SPDX-License-Identifier: Apache-2.0
//
// All threads of a process, stopped under ptrace. Nothing of the process has been changed when stop() returns;
// release() puts back whatever is changed afterwards, detach() lets the threads go with it. If this process dies, the
// kernel lets every thread go.
#pragma once

#include <stdint.h>

#include <chrono>
#include <functional>
#include <initializer_list>
#include <optional>
#include <vector>

#include "common/movable/verdict.h"
#include "deputy/home/target.h"
#include "deputy/home/tracee.h"
#include "libom/abi/thread.h"

namespace om::deputy {

// Whether the reason keeps a process from being stopped, and may pass by itself.
bool is_in_the_way(ReasonCode code);

struct StoppedThread {
  Tracee tracee;
  pid_t tid = 0;
  pid_t inner_tid = 0;      // as the program sees it (pid namespaces)
  user_regs_struct regs{};  // at the stop
  std::vector<std::byte> xstate;
  KernelThread kernel{};  // without altstack and clear_child_tid, which only the thread can tell
  double blocked_ms = 0;  // how long it had not run when asked to stop
  // What it goes on with if this process dies now: not `regs`, where the stop shows in a call.
  std::optional<user_regs_struct> ahead;
  bool only_ahead = false;  // wherever it goes on: no executor can take the call over (continue.h)
  bool known = false;       // the state above has been read
  bool changed = false;     // registers, mask or vector state are no longer the program's

  explicit StoppedThread(pid_t id) : tracee(id), tid(id) {}
  // Whether it is in a system call, interrupted by our stop (or by a signal that is gone by now).
  bool in_call() const { return static_cast<int64_t>(regs.orig_rax) >= 0; }
};

class StoppedProcess {
 public:
  struct Options {
    // For a departure: no thread is left in the vDSO, or with a signal pending that came before the stop.
    bool settle = true;
    // Called when all have stopped. If it gives a reason, they go on.
    std::function<Step()> look = {};
    std::chrono::milliseconds limit{1000};
    // If set, calls that the stop has cut short are completed when their threads go on: by continue.h, or by the
    // executor that is in one. Outlives the object.
    const Target* target = nullptr;
    // call() and run() wait as long as the thread lives: for executors, which have to get to the end of what was begun,
    // so that giving up helps nobody.
    bool patient = false;
  };

  StoppedProcess(StoppedProcess&&) = default;
  StoppedProcess& operator=(StoppedProcess&&) = delete;
  ~StoppedProcess();

  // STOPPED, TRACED, UNINTERRUPTIBLE, NO_SUCH_PROCESS, PERMISSION.
  static Verdict<StoppedProcess> stop(pid_t pid, const Options& options);

  std::vector<StoppedThread>& threads() { return threads_; }
  pid_t pid() const { return pid_; }
  std::chrono::steady_clock::time_point since() const { return since_; }

  // A thread that runs our code has all signals blocked, and only such a thread: if this process dies, it goes on where
  // its frame says (libom/stub/remote.cc), with its own mask. The caller has written the frame.
  //
  // Makes one system call in one thread, on `stack` (any writable memory of libom's).
  Result<int64_t> call(StoppedThread& t, const Target& target, uint64_t stack, uint64_t nr,
                       std::initializer_list<uint64_t> args);
  // The same for a thread without a slot: FirstAid has the frame.
  Result<int64_t> first_call(StoppedThread& t, const Target& target, uint64_t nr,
                             std::initializer_list<uint64_t> args);
  // Runs libom's remote function on the slot of the thread and waits until `done` says so (it reports on the deputy
  // socket). The thread is stopped again afterwards.
  Result<void> run(StoppedThread& t, const Target& target, uint64_t stack, uint64_t function,
                   uint64_t argument, const std::function<Result<bool>()>& done);

  // Puts back what was changed; the threads stay stopped. Afterwards `regs` of a thread are what it goes on with.
  void put_back();
  // put_back(), and lets all threads run.
  void release();
  // The threads have their new registers for good: lets them run and detaches from them.
  void detach();
  // Lets one thread go on, as release() would.
  void let_go(StoppedThread& t);

 private:
  StoppedProcess(pid_t pid, const Options& options)
      : pid_(pid), target_(options.target), patient_(options.patient) {}
  Deadline call_deadline() const;
  void put_back(StoppedThread& t);
  Step seize_all(Deadline deadline);
  // Waits for a thread that has been asked to stop. SHARED_MM, UNINTERRUPTIBLE.
  Step wait_for(StoppedThread& t, Deadline deadline);
  Step settle(Deadline deadline);
  Step read_all();

  pid_t pid_;
  const Target* target_;
  bool patient_;
  std::vector<StoppedThread> threads_;
  std::chrono::steady_clock::time_point since_;
  bool active_ = true;
};

// Lets go of threads that did not stop in time when their process was released, as far as they do by `deadline`. Called
// when a stop has been reported (SIGCHLD), and before the next stop of a process.
void let_go_late(Deadline deadline = {});

}  // namespace om::deputy

// SPDX-License-Identifier: Apache-2.0
//
// All threads of a process, standing still under ptrace. Nothing of the process has been changed when stop()
// returns; whatever is changed afterwards is put back by release() unless commit() says otherwise. Should this
// process die, the kernel lets every thread go.
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

// Whether it is a reason that keeps a process from standing still and may go by itself.
bool is_in_the_way(ReasonCode code);

struct StoppedThread {
  Tracee tracee;
  pid_t tid = 0;
  pid_t inner_tid = 0;      // as the program sees it (pid namespaces)
  user_regs_struct regs{};  // at the stop
  std::vector<std::byte> xstate;
  KernelThread
      kernel{};  // without alternate stack and clear_child_tid, which only the thread itself can tell
  double blocked_ms = 0;  // how long it had not run when the stop was asked for
  // What it goes on with if this process dies now: not `regs`, where the stop shows in a call.
  std::optional<user_regs_struct> ahead;
  bool only_ahead = false;  // wherever it goes on: no executor can take the call over (continue.h)
  bool known = false;       // the state above has been read
  bool changed = false;     // registers, mask or vector state are no longer the program's

  explicit StoppedThread(pid_t id) : tracee(id), tid(id) {}
  // In a system call, interrupted by our stop (or by a signal that is not there any more).
  bool in_call() const { return static_cast<int64_t>(regs.orig_rax) >= 0; }
};

class StoppedProcess {
 public:
  struct Options {
    // For a departure: no thread stands in the vDSO, or with a signal pending that came before the stop.
    bool settle = true;
    // Asked when all stand. A reason: they go on.
    std::function<Step()> look = {};
    std::chrono::milliseconds limit{1000};
    // With it, calls that the stop has cut short are completed when their threads go on: by continue.h, or by the
    // executor that is in one. Outlives the object.
    const Target* target = nullptr;
    // call() and run() have their time as long as the thread lives: where giving up helps nobody, as the thread is an
    // executor that has to get to the end of what was begun.
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

  // A thread that runs code of ours has all signals blocked, and only such a thread: should this process die, it
  // goes on where its frame says (libom/stub/remote.cc), with its own mask. The caller has written the frame.
  //
  // One system call in one thread, on `stack` (any writable memory of libom's).
  Result<int64_t> call(StoppedThread& t, const Target& target, uint64_t stack, uint64_t nr,
                       std::initializer_list<uint64_t> args);
  // The same for a thread without a slot: FirstAid has the frame.
  Result<int64_t> first_call(StoppedThread& t, const Target& target, uint64_t nr,
                             std::initializer_list<uint64_t> args);
  // Runs libom's remote function on the slot of the thread and waits until `done` says so (it reports on the
  // deputy socket). The thread stands again afterwards.
  Result<void> run(StoppedThread& t, const Target& target, uint64_t stack, uint64_t function,
                   uint64_t argument, const std::function<Result<bool>()>& done);

  // Puts back what was changed; the threads still stand. Afterwards `regs` of a thread are what it goes on with.
  void put_back();
  // put_back(), and lets all threads run.
  void release();
  // The threads have their new registers for good: lets them run and lets go.
  void detach();
  // One thread goes on as release() would let it.
  void let_go(StoppedThread& t);

 private:
  StoppedProcess(pid_t pid, const Options& options)
      : pid_(pid), target_(options.target), patient_(options.patient) {}
  Deadline call_deadline() const;
  void put_back(StoppedThread& t);
  Step seize_all(Deadline deadline);
  // For a thread that has been asked to stop. SHARED_MM, UNINTERRUPTIBLE.
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

// Lets go of threads that did not stand in time when their process was released, as far as they do by `deadline`.
// Called when a stop has been reported (SIGCHLD), and before the next stop of a process.
void let_go_late(Deadline deadline = {});

}  // namespace om::deputy

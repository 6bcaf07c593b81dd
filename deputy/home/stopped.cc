// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/stopped.h"

#include <errno.h>
#include <signal.h>

#include <algorithm>

#include "common/proc/process.h"
#include "common/proc/sharers.h"
#include "common/proc/stat.h"
#include "common/proc/status.h"
#include "deputy/home/continue.h"
#include "deputy/home/leave_vdso.h"
#include "libom/abi/home.h"

namespace om::deputy {
namespace {

using Clock = std::chrono::steady_clock;

// For one thread, and for all: a signal not taken by then counts as one that came a moment later.
constexpr int kMaxSignals = 8;
constexpr auto kSettleLimit = std::chrono::milliseconds(200);
constexpr auto kVdsoLimit = std::chrono::seconds(1);
constexpr auto kCallLimit = std::chrono::seconds(2);
// For a thread that only waits for a processor: it will stop, though later on a loaded machine.
constexpr auto kRunnableLimit = std::chrono::seconds(5);
constexpr auto kVforkLook = std::chrono::milliseconds(100);
constexpr auto kDetachLimit = std::chrono::milliseconds(100);  // after it: when it stops

uint64_t bit(int sig) { return uint64_t{1} << (sig - 1); }

// Signals that a stopped thread would take before it runs on.
uint64_t pending_signals(pid_t tid) {
  const auto status = proc::read_status(tid);
  if (!status) return 0;
  return (status->sig_pending | status->sig_pending_shared) & ~status->sig_blocked & ~bit(SIGKILL);
}

// Threads whose stop nobody wants any more: to be let go as soon as they stop.
struct LateThread {
  Tracee tracee;
  pid_t pid;
  double blocked_ms;
};
std::vector<LateThread>& late_threads() {
  static std::vector<LateThread> threads;
  return threads;
}

// Tells an executor that is in a call that the result may be our stop's doing (libom/stub/execute.cc).
void tell_executor(const Target& target, double blocked_ms, const user_regs_struct& regs) {
  const auto home = target.home();
  if (!home || home->arena == 0) return;
  const uint64_t lo = home->arena + kControlSize;
  if (regs.rsp < lo || regs.rsp >= home->arena + arena_bytes(home->nslots)) return;
  const auto slot = static_cast<uint32_t>((regs.rsp - lo) / kSlotSize);
  const auto thread = target.thread(home->arena, slot);
  constexpr uint32_t kOne = 1;
  const auto idle_ms = static_cast<uint32_t>(std::min(blocked_ms, 4e9));
  if (thread && thread->phase == kExecCall) {
    const uint64_t at = target.thread_address(home->arena, slot);
    (void)target.memory.put(at + offsetof(HomeThread, idle_ms), idle_ms);
    (void)target.memory.put(at + offsetof(HomeThread, interrupted), kOne);
  }
}

// True if it has changed the registers.
bool complete_call(const Target& target, double blocked_ms, user_regs_struct& regs,
                   bool* in_program = nullptr) {
  tell_executor(target, blocked_ms, regs);
  return continue_call(target, blocked_ms, regs, in_program);
}

// For a thread that is about to run on as the program's. A call that a handler is about to interrupt anyway is left to
// the kernel: completed, it would go on waiting after the handler. `mask`: the one that the thread will have; nullptr:
// the one that it has, which for ppoll and the like is the call's.
bool complete_unless_signalled(const Target& target, pid_t tid, const uint64_t* mask,
                               double blocked_ms, user_regs_struct& regs) {
  const auto status = proc::read_status(tid);
  uint64_t interrupting = 0;
  if (status) {
    interrupting = (status->sig_pending | status->sig_pending_shared) & status->sig_caught &
                   ~(mask != nullptr ? *mask : status->sig_blocked);
  }
  if (interrupting == 0) return complete_call(target, blocked_ms, regs);
  tell_executor(target, blocked_ms, regs);
  return false;
}

// The stop has come after all, and with it what it does to a call.
void let_go_of(LateThread& late) {
  auto target = open_target(late.pid);
  auto regs = late.tracee.regs();
  if (target && regs &&
      complete_unless_signalled(*target, late.tracee.tid(), nullptr, late.blocked_ms, *regs))
    (void)late.tracee.set_regs(*regs);
  late.tracee.detach();
}

bool known(const std::vector<StoppedThread>& threads, pid_t tid) {
  return std::any_of(threads.begin(), threads.end(),
                     [&](const StoppedThread& t) { return t.tid == tid; });
}

}  // namespace

bool is_in_the_way(ReasonCode code) {
  return code == ReasonCode::kUninterruptible || code == ReasonCode::kSharedMm ||
         code == ReasonCode::kTraced || code == ReasonCode::kTimeout;
}

StoppedProcess::~StoppedProcess() {
  if (active_ && !threads_.empty()) release();
}

Step StoppedProcess::wait_for(StoppedThread& t, Deadline deadline) {
  if (t.tracee.wait_stop(std::min(deadline, Clock::now() + kVforkLook))) return Done{};
  auto state = [&t] {
    const auto status = proc::read_status(t.tid);
    return status ? status->state : '?';
  };
  // The parent of a vfork stops once its child is another program, which may take as long as the child likes.
  if (state() == 'D') {
    const auto sharers = proc::find_task_sharers(pid_);
    if (sharers && !sharers->memory.empty())
      return refuse(ReasonCode::kSharedMm, "process {}", sharers->memory.front());
  }
  if (t.tracee.wait_stop(deadline)) return Done{};
  if (state() == 'R' && t.tracee.wait_stop(deadline + kRunnableLimit)) return Done{};
  return refuse(ReasonCode::kUninterruptible, "thread {} (state {})", t.tid, state());
}

Step StoppedProcess::seize_all(Deadline deadline) {
  // Until no new thread appears: a thread that is not stopped yet may still make others.
  for (bool found = true; found;) {
    found = false;
    auto tids = proc::list_tasks(pid_);
    if (!tids) {
      if (tids.error().err == ESRCH) return refuse(ReasonCode::kNoSuchProcess, "{}", pid_);
      return internal(tids.error());
    }
    for (pid_t tid : *tids) {
      if (known(threads_, tid)) continue;
      StoppedThread t(tid);
      if (auto idle = proc::read_milliseconds_since_run(tid)) t.blocked_ms = std::max(0.0, *idle);
      auto seized = t.tracee.seize();
      if (!seized) {
        if (seized.error().err == ESRCH) continue;
        auto status = proc::read_status(tid);
        if (status && status->tracer_pid != 0)
          return refuse(ReasonCode::kTraced, "by process {}", status->tracer_pid);
        if (status && (status->state == 'Z' || status->state == 'X')) continue;
        return refuse(ReasonCode::kPermission, "{}", seized.error().text());
      }
      t.tracee.interrupt();
      threads_.push_back(std::move(t));
      found = true;
    }
    for (auto& t : threads_) OM_TRY(wait_for(t, deadline));
    std::erase_if(threads_, [](const StoppedThread& t) { return t.tracee.gone(); });
  }
  if (threads_.empty()) return refuse(ReasonCode::kNoSuchProcess, "{}", pid_);
  return Done{};
}

// Has the kernel deliver signals that came before the stop, or with it, so that it does to a blocked call what it does
// natively. One thread after the other: the first takes those of the process. What comes later, or faster, stays
// pending and goes to the executor (libom/stub/signal.cc), or to the program if the process does not leave.
Step StoppedProcess::settle(Deadline deadline) {
  const Deadline until = std::min(deadline, Clock::now() + kSettleLimit);
  bool taken = false;
  for (auto& t : threads_) {
    // A handler entered now must not return into the vDSO.
    if (target_ != nullptr && !t.tracee.gone()) OM_TRY(leave_vdso(*target_, t.tracee, kVdsoLimit));
    for (int n = 0; n < kMaxSignals && !t.tracee.gone() && !t.tracee.group_stopped(); n++) {
      if (Clock::now() > until || pending_signals(t.tid) == 0) break;
      taken = true;
      if (!t.tracee.take_signal(deadline)) OM_TRY(wait_for(t, deadline));
    }
    if (t.tracee.group_stopped()) return refuse(ReasonCode::kStopped, "thread {}", t.tid);
  }
  std::erase_if(threads_, [](const StoppedThread& t) { return t.tracee.gone(); });
  if (threads_.empty()) return refuse(ReasonCode::kNoSuchProcess, "{}", pid_);
  // If a signal was gone when its thread was resumed to take it, the thread has run on for a moment.
  return taken ? seize_all(deadline) : Step(Done{});
}

Step StoppedProcess::read_all() {
  for (auto& t : threads_) {
    t.regs = OM_MUST(t.tracee.regs());
    t.xstate = OM_MUST(t.tracee.xstate());
    t.kernel.sigmask = OM_MUST(t.tracee.signal_mask());
    t.kernel.fs_base = t.regs.fs_base;
    // Kernels before 5.13 do not tell; glibc there has none.
    if (auto rseq = t.tracee.rseq()) {
      t.kernel.rseq_address = rseq->address;
      t.kernel.rseq_size = rseq->size;
      t.kernel.rseq_signature = rseq->signature;
    }
    if (auto robust = t.tracee.robust_list()) {
      t.kernel.robust_head = robust->first;
      t.kernel.robust_size = robust->second;
    }
    auto status = OM_MUST(proc::read_status(t.tid));
    t.known = true;
    t.inner_tid = status.ns_pids.empty() ? t.tid : status.ns_pids.back();
  }
  for (auto& t : threads_) {
    user_regs_struct ahead = t.regs;
    if (target_ != nullptr && complete_call(*target_, t.blocked_ms, ahead, &t.only_ahead) &&
        t.tracee.set_regs(ahead))
      t.ahead = ahead;
  }
  // The main thread first: it becomes the body's first.
  std::stable_sort(threads_.begin(), threads_.end(),
                   [this](const StoppedThread& a, const StoppedThread& b) {
                     return (a.tid == pid_) > (b.tid == pid_);
                   });
  return Done{};
}

Verdict<StoppedProcess> StoppedProcess::stop(pid_t pid, const Options& options) {
  StoppedProcess p(pid, options);
  p.since_ = Clock::now();
  const Deadline deadline = p.since_ + options.limit;
  let_go_late(deadline);
  OM_TRY(p.seize_all(deadline));
  if (options.settle) OM_TRY(p.settle(deadline));
  if (options.look) OM_TRY(options.look());
  OM_TRY(p.read_all());
  return p;
}

Deadline StoppedProcess::call_deadline() const {
  return patient_ ? Deadline::max() : Clock::now() + kCallLimit;
}

Result<int64_t> StoppedProcess::call(StoppedThread& t, const Target& target, uint64_t stack,
                                     uint64_t nr, std::initializer_list<uint64_t> args) {
  t.changed = true;
  return t.tracee.inject(t.regs, target.anchor.inject, stack, nr,
                         std::span(args.begin(), args.size()), call_deadline());
}

Result<int64_t> StoppedProcess::first_call(StoppedThread& t, const Target& target, uint64_t nr,
                                           std::initializer_list<uint64_t> args) {
  // Our code does not use this stack; the place below the program's red zone is its own.
  constexpr uint64_t kBelow = 512;
  t.changed = true;
  return t.tracee.inject(t.regs, target.anchor.first_inject, t.regs.rsp - kBelow, nr,
                         std::span(args.begin(), args.size()), call_deadline());
}

Result<void> StoppedProcess::run(StoppedThread& t, const Target& target, uint64_t stack,
                                 uint64_t function, uint64_t argument,
                                 const std::function<Result<bool>()>& done) {
  t.changed = true;
  user_regs_struct r = t.regs;
  r.rip = target.anchor.remote_entry;
  r.rsp = stack;
  r.rdi = function;
  r.rsi = argument;
  r.orig_rax = ~0ull;
  r.eflags &= ~0x400ull;
  if (auto set = t.tracee.set_regs(r); !set) return set.error();
  if (auto set = t.tracee.set_signal_mask(~uint64_t{0}); !set) return set.error();
  t.tracee.resume();
  const Deadline deadline = call_deadline();
  for (Wait wait(t.tid, deadline);;) {
    const bool finished = OM_TRY(done());
    if (finished) break;
    if (t.tracee.poll()) {
      if (t.tracee.gone()) return Error{ESRCH, "the thread ended"};
      t.tracee.resume();  // a stop of the process, which takes effect when it is let go
    }
    if (wait.is_over()) return Error{ETIMEDOUT, "run libom's function"};
    if (!wait.nap()) return Error{ESRCH, "the thread ended"};
  }
  t.tracee.interrupt();
  if (auto stop = t.tracee.wait_stop(deadline); !stop) return stop.error();
  if (t.tracee.gone()) return Error{ESRCH, "the thread ended"};
  return {};
}

void StoppedProcess::put_back() {
  for (auto& t : threads_) {
    if (!t.tracee.gone() && t.tracee.stopped()) put_back(t);
  }
}

void StoppedProcess::release() {
  put_back();
  detach();
}

// Best effort: a thread that was killed meanwhile is not ours to mend.
void StoppedProcess::put_back(StoppedThread& t) {
  if (!t.known) {
    auto regs = t.tracee.regs();
    if (!regs) return;
    t.regs = *regs;
  }
  const uint64_t* mask = t.changed ? &t.kernel.sigmask : nullptr;
  const bool continued =
      target_ != nullptr && complete_unless_signalled(*target_, t.tid, mask, t.blocked_ms, t.regs);
  if (t.changed) {
    // The registers last: as long as they are libom's, its frame says where the thread goes on.
    (void)t.tracee.set_xstate(t.xstate);
    (void)t.tracee.set_signal_mask(t.kernel.sigmask);
  }
  if (t.changed || t.ahead || continued) (void)t.tracee.set_regs(t.regs);
}

void let_go_late(Deadline deadline) {
  std::erase_if(late_threads(), [&](LateThread& late) {
    if (!late.tracee.wait_stop(deadline)) return false;
    if (!late.tracee.gone()) let_go_of(late);
    return true;
  });
}

void StoppedProcess::detach() {
  for (auto& t : threads_) {
    if (!t.tracee.gone() && !t.tracee.stopped()) {
      t.tracee.interrupt();
      if (!t.tracee.wait_stop(Clock::now() + kDetachLimit)) {
        late_threads().push_back({t.tracee, pid_, t.blocked_ms});
        continue;
      }
      if (!t.tracee.gone() && !t.changed) {
        t.known = false;
        put_back(t);
      }
    }
    t.tracee.detach();
  }
  active_ = false;
}

void StoppedProcess::let_go(StoppedThread& t) {
  put_back(t);
  t.tracee.detach();
}

}  // namespace om::deputy

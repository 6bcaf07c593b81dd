// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/threads_back.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <kj/common.h>

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <thread>

#include "common/base/log.h"
#include "deputy/base/text.h"
#include "deputy/home/arena.h"
#include "deputy/home/frames.h"
#include "deputy/home/plan_return.h"
#include "libom/abi/away_cpu.h"
#include "libom/abi/home.h"
#include "libom/abi/thread.h"

namespace om::deputy {
namespace {

constexpr auto kQueueLimit = std::chrono::seconds(1);
constexpr auto kNap = std::chrono::milliseconds(1);
constexpr int64_t kErestartsys = -512, kErestartBlock = -516;

bool is_restart(int64_t rax) { return rax >= kErestartBlock && rax <= kErestartsys; }

class ThreadsBack {
 public:
  ThreadsBack(HomeSide& home, StoppedProcess& stop, const Note& note)
      : home_(home), stop_(stop), note_(note) {}

  Step restore(const std::vector<ThreadState>& states,
               const std::vector<std::vector<std::byte>>& xsaves, uint64_t cpu_ns);

 private:
  struct Item {
    StoppedThread* thread;
    const ThreadState* state;
    const std::vector<std::byte>* xsave;
    HomeThread home;
    ThreadReturn plan;
    uint64_t stack;
  };
  Step plan(const std::vector<ThreadState>& states,
            const std::vector<std::vector<std::byte>>& xsaves);
  Step add_cpu_time(uint64_t total_ns, const std::vector<ThreadState>& states);
  Step leave_libom();
  Step restore_kernel_half(Item& item);
  Step give_registers(Item& item);
  Step leave_late(StoppedThread& t, HomeThread h, const user_regs_struct& regs, uint64_t sigmask,
                  const std::vector<std::byte>& xsave);
  Step put_back(const Item& item, const char* what, uint64_t nr,
                std::initializer_list<uint64_t> args);
  Step queue_signal(const Item& item, const SignalRecord& signal);
  void tell_refused(const Item& item, const std::string& what, int64_t error);

  HomeSide& home_;
  StoppedProcess& stop_;
  const Note& note_;
  std::vector<Item> items_;
};

Step ThreadsBack::plan(const std::vector<ThreadState>& states,
                       const std::vector<std::vector<std::byte>>& xsaves) {
  for (auto& t : stop_.threads()) {
    const uint32_t slot = home_.slot_of(t);
    const HomeThread h = OM_MUST(home_.target->thread(home_.arena, slot));
    auto it = std::find_if(states.begin(), states.end(),
                           [&](const ThreadState& s) { return s.slot == slot; });
    if (it == states.end()) {
      return refuse(ReasonCode::kInternal, "thread {} has no state", t.tid);
    }
    const auto index = static_cast<size_t>(it - states.begin());
    Item item{&t, &states[index], &xsaves[index], h, {}, home_.stack_of(slot)};
    item.plan = OM_TRY(plan_return(home_, t, h, *it));
    items_.push_back(std::move(item));
  }
  if (items_.size() != states.size())
    return refuse(ReasonCode::kInternal, "threads of home and body do not match");
  return Done{};
}

Step ThreadsBack::restore(const std::vector<ThreadState>& states,
                          const std::vector<std::vector<std::byte>>& xsaves, uint64_t cpu_ns) {
  OM_TRY(plan(states, xsaves));
  OM_TRY(fault("return.threads"));

  StoppedThread& first = *items_.front().thread;
  for (Item& item : items_) {
    if (!item.plan.apply) continue;
    const int64_t fault =
        OM_TRY(home_.run_remote(stop_, first, items_.front().stack, kRemoteApply, item.home.slot));
    if (fault < 0) item.plan.regs.rax = static_cast<uint64_t>(fault);
  }
  for (const Item& item : items_) {
    const uint64_t slot = slot_address(home_.arena, item.home.slot);
    OM_MUST_VOID(home_.target->memory.put(slot + kSlotReturn, *item.state));
    OM_MUST_VOID(home_.target->memory.write(slot + kSlotFrame + kFrameXsave, *item.xsave));
  }
  OM_TRY(fault("return.applied"));
  if (home_.state.phase != kHomeReturning) OM_TRY(add_cpu_time(cpu_ns, states));
  // From here on there is no way back: if something fails now, another deputy completes the return.
  home_.state.phase = kHomeReturning;
  OM_MUST_VOID(home_.target->put_home_field(offsetof(HomeState, phase), home_.state.phase));
  Step left = fault("return.decided");
  KJ_IF_MAYBE (exception, kj::runCatchingExceptions([&] {
                 if (left.ok()) left = leave_libom();
               })) {
    left = broken(*exception);
  }
  if (!left) {
    if (has_ended(home_.pid)) return refuse(ReasonCode::kNoSuchProcess, "it has ended");
    log_error("return", "process {}: the return has to be completed by another deputy: {}",
              home_.pid, left.error().message());
    ::_exit(1);
  }
  return Done{};
}

// Adds the CPU time that the body has used to what libom's clocks say at home.
Step ThreadsBack::add_cpu_time(uint64_t total_ns, const std::vector<ThreadState>& states) {
  AwayCpu away = OM_MUST(home_.target->memory.get<AwayCpu>(home_.target->anchor.away_cpu));
  AwayCpu now{};
  now.total_ns = away.total_ns + total_ns;
  for (const ThreadState& s : states) {
    if (now.count == kMaxAwayThreads) break;
    uint64_t ns = s.cpu_ns;
    for (uint32_t i = 0; i < std::min(away.count, kMaxAwayThreads); i++) {
      if (away.thread[i].tid == s.tid) ns += away.thread[i].ns;
    }
    now.thread[now.count++] = {s.tid, 0, ns};
  }
  OM_MUST_VOID(home_.target->memory.put(home_.target->anchor.away_cpu, now));
  return Done{};
}

// Too late to stay away, but not to say so.
void ThreadsBack::tell_refused(const Item& item, const std::string& what, int64_t error) {
  const std::string text =
      fmt::format("process {}: thread {} came home without its {}: {}", home_.pid, item.thread->tid,
                  what, ::strerror(static_cast<int>(-error)));
  log_error("return", "{}", text);
  note_(ReasonCode::kInternal, text);
}

// Makes a call that puts something of the program's back. The kernel may refuse it because of what the body has claimed
// about itself, or because this node's CPU needs more (the size of an alternate stack).
Step ThreadsBack::put_back(const Item& item, const char* what, uint64_t nr,
                           std::initializer_list<uint64_t> args) {
  const int64_t result = OM_MUST(stop_.call(*item.thread, *home_.target, item.stack, nr, args));
  if (result < 0) tell_refused(item, what, result);
  return Done{};
}

// Makes a signal that was caught for the body pending again. Natively the kernel would have counted it when it came;
// that room may have gone to others meanwhile, and the program may have set its limit lower than it could.
Step ThreadsBack::queue_signal(const Item& item, const SignalRecord& signal) {
  const uint64_t scratch = slot_address(home_.arena, item.home.slot) + kScratch;
  OM_MUST_VOID(home_.target->memory.write(scratch, std::as_bytes(std::span(signal.info))));
  auto queue = [&] {
    return stop_.call(*item.thread, *home_.target, item.stack, SYS_rt_tgsigqueueinfo,
                      {static_cast<uint64_t>(home_.inner_pid), static_cast<uint64_t>(item.home.tid),
                       signal.number, scratch});
  };
  int64_t queued = OM_MUST(queue());
  if (queued == -EAGAIN) {
    rlimit own{};
    ::prlimit(home_.pid, RLIMIT_SIGPENDING, nullptr, &own);
    const rlimit most{own.rlim_max, own.rlim_max};
    ::prlimit(home_.pid, RLIMIT_SIGPENDING, &most, nullptr);
    KJ_DEFER(::prlimit(home_.pid, RLIMIT_SIGPENDING, &own, nullptr));
    const Deadline limit = std::chrono::steady_clock::now() + kQueueLimit;
    while (queued == -EAGAIN && std::chrono::steady_clock::now() < limit) {
      queued = OM_MUST(queue());
      if (queued == -EAGAIN) std::this_thread::sleep_for(kNap);
    }
  }
  if (queued < 0) tell_refused(item, fmt::format("signal {}", signal.number), queued);
  return Done{};
}

// Gives the program its own dispositions, signals and registers and closes our descriptors, while nothing can run.
Step ThreadsBack::leave_libom() {
  StoppedThread& first = *items_.front().thread;
  // What the kernel still reads and writes for a transfer that goes on must not be given back.
  for (Item& item : items_) {
    if (!item.plan.late) continue;
    item.home.keeps = 1;
    OM_MUST_VOID(home_.target->memory.put(
        home_.target->thread_address(home_.arena, item.home.slot) + offsetof(HomeThread, keeps),
        item.home.keeps));
  }
  OM_TRY(home_.run_remote(stop_, first, items_.front().stack, kRemoteRestore, 0));
  for (Item& item : items_) OM_TRY(restore_kernel_half(item));
  OM_MUST(stop_.call(first, *home_.target, items_.front().stack, SYS_close,
                     {static_cast<uint64_t>(home_.state.fd_base)}));

  for (Item& item : items_) OM_TRY(give_registers(item));
  OM_TRY(fault("return.left"));
  home_.state.phase = kHomeNative;
  home_.state.hold = 0;
  OM_MUST_VOID(home_.target->put_home_field(offsetof(HomeState, phase), home_.state.phase));
  OM_MUST_VOID(home_.target->put_home_field(offsetof(HomeState, hold), home_.state.hold));
  give_arena_back(home_, stop_);
  stop_.detach();
  return Done{};
}

// Restores what the kernel knows about the thread: alternate stack, clear_child_tid, robust list, rseq, pending
// signals.
Step ThreadsBack::restore_kernel_half(Item& item) {
  const ThreadState& s = *item.state;
  const uint64_t scratch = slot_address(home_.arena, item.home.slot) + kScratch;
  OM_MUST_VOID(home_.target->memory.put(scratch, altstack_of(s.kernel)));
  OM_TRY(put_back(item, "alternate stack", SYS_sigaltstack, {scratch, 0}));
  OM_TRY(put_back(item, "clear_child_tid", SYS_set_tid_address, {s.kernel.ctid}));
  if (s.kernel.robust_size != 0) {
    OM_TRY(put_back(item, "robust list", SYS_set_robust_list,
                    {s.kernel.robust_head, s.kernel.robust_size}));
  }
  // Also if it is the same area: what is there is from another node, or says that the CPU is not known, and home's
  // kernel writes its own only when it thinks that something has changed.
  if (s.kernel.rseq_address != 0 || item.home.kernel.rseq_address != 0) {
    const char* const rseq = "restartable sequences";
    if (item.home.kernel.rseq_address != 0) {
      OM_TRY(put_back(item, rseq, SYS_rseq,
                      {item.home.kernel.rseq_address, item.home.kernel.rseq_size, 1,
                       item.home.kernel.rseq_signature}));
    }
    if (s.kernel.rseq_address != 0) {
      OM_TRY(put_back(item, rseq, SYS_rseq,
                      {s.kernel.rseq_address, s.kernel.rseq_size, 0, s.kernel.rseq_signature}));
    }
  }
  for (const SignalRecord& signal : item.plan.signals) {
    if ((signal.flags & SA_RESETHAND) != 0 && signal.number <= 64) {
      // Its delivery at home has reset the handler, which is still to be called.
      KernelSigaction action = home_.state.actions[signal.number];
      action.handler = signal.handler;
      OM_MUST_VOID(home_.target->memory.put(scratch, action));
      OM_TRY(put_back(item, "handler", SYS_rt_sigaction, {signal.number, scratch, 0, 8}));
    }
    OM_TRY(queue_signal(item, signal));
  }
  if (!item.plan.signals.empty()) {
    item.home.noted_tail = item.home.noted_head;
    item.home.noted_sent = 0;
    item.home.core.number = 0;
    OM_MUST_VOID(home_.target->put_thread(home_.arena, item.home.slot, item.home));
  }
  return Done{};
}

Step ThreadsBack::give_registers(Item& item) {
  StoppedThread& t = *item.thread;
  HomeThread h = item.home;
  if (item.plan.late) {
    // Still inside its transfer: the executor ends it and resumes the program from this frame.
    OM_TRY(leave_late(t, h, item.plan.regs, item.plan.sigmask, *item.xsave));
    return Done{};
  }
  // The kernel insists on its own size of the area.
  std::vector<std::byte> area(t.xstate.size());
  std::copy_n(item.xsave->begin(), std::min(area.size(), item.xsave->size()), area.begin());
  OM_MUST_VOID(t.tracee.set_xstate(area));
  // The registers last: until then they are libom's, with a frame.
  OM_MUST_VOID(t.tracee.set_signal_mask(item.plan.sigmask));
  OM_MUST_VOID(t.tracee.set_regs(item.plan.regs));
  h.state = kSlotFree;
  h.frame_valid = kFrameNone;
  OM_MUST_VOID(home_.target->put_thread(home_.arena, h.slot, h));
  if (&item == &items_.front()) OM_TRY(fault("return.leave"));
  return Done{};
}

Step ThreadsBack::leave_late(StoppedThread& t, HomeThread h, const user_regs_struct& regs,
                             uint64_t sigmask, const std::vector<std::byte>& xsave) {
  const uint64_t slot = slot_address(home_.arena, h.slot);
  OM_MUST_VOID(home_.target->memory.put(slot + kSlotFrame, frame_of(regs, sigmask)));
  OM_MUST_VOID(home_.target->memory.write(slot + kSlotFrame + kFrameXsave, xsave));
  h.late = 1;
  // From now on only a signal of the program's can end a call early that the kernel restarts by itself.
  if (is_restart(static_cast<int64_t>(t.regs.rax))) h.interrupted = 0;
  OM_MUST_VOID(home_.target->put_thread(home_.arena, h.slot, h));
  // The program's handlers may run on top of the executor until the transfer is complete.
  user_regs_struct there = t.regs;
  there.fs_base = regs.fs_base;
  OM_MUST_VOID(t.tracee.set_signal_mask(sigmask));
  OM_MUST_VOID(t.tracee.set_regs(there));
  return Done{};
}

}  // namespace

Step restore_threads(HomeSide& home, StoppedProcess& stop, const std::vector<ThreadState>& states,
                     const std::vector<std::vector<std::byte>>& xsaves, uint64_t cpu_ns,
                     const Note& note) {
  return ThreadsBack(home, stop, note).restore(states, xsaves, cpu_ns);
}

}  // namespace om::deputy

// SPDX-License-Identifier: Apache-2.0
//
// The last part of a homecoming, and of a rollback: every thread leaves libom with the registers, the call, the
// signals and the kernel state that the program's thread has to have.
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <kj/common.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "common/base/log.h"
#include "deputy/base/host.h"
#include "deputy/base/text.h"
#include "deputy/home/continue.h"
#include "deputy/home/frames.h"
#include "deputy/mover.h"
#include "gen/syscalls_desc.h"
#include "libom/abi/waiting.h"

namespace om::deputy {
namespace {

constexpr auto kQueueLimit = std::chrono::seconds(1);
constexpr auto kNap = std::chrono::milliseconds(1);
constexpr int64_t kErestartsys = -512, kErestartBlock = -516;

bool is_restart(int64_t rax) { return rax >= kErestartBlock && rax <= kErestartsys; }

void load_regs(const ThreadState& s, user_regs_struct& r) {
  unsigned long long* const in_order[] = {&r.r8,  &r.r9,  &r.r10, &r.r11, &r.r12, &r.r13,
                                          &r.r14, &r.r15, &r.rdi, &r.rsi, &r.rbp, &r.rbx,
                                          &r.rdx, &r.rax, &r.rcx, &r.rsp, &r.rip, &r.eflags};
  for (size_t i = 0; i < std::size(in_order); i++) *in_order[i] = s.regs[i];
  r.eflags |= 0x202;
  r.fs_base = s.fs_base;
  r.cs = 0x33;
  r.ss = 0x2b;
  r.ds = r.es = r.fs = r.gs = 0;
  r.gs_base = 0;
}

// Calls that replace the signal mask while they wait: natively restarted when a signal is pending, they call
// its handler and answer EINTR by themselves.
bool has_own_mask(uint32_t nr) { return wait_desc(nr).mask != MaskAt::kNone; }

// The remaining time of a reissued call goes where its timeout argument is.
void shorten(user_regs_struct& r, uint32_t nr, uint64_t deadline_ns) {
  const TimeoutAt at = timeout_of(nr);
  if (deadline_ns == 0 || at.kind != Timeout::kMillis) return;
  const auto now = static_cast<int64_t>(now_ns(CLOCK_MONOTONIC));
  const int64_t left = std::max<int64_t>(static_cast<int64_t>(deadline_ns) - now, 0);
  unsigned long long* const args[] = {&r.rdi, &r.rsi, &r.rdx, &r.r10, &r.r8, &r.r9};
  *args[at.arg] = static_cast<uint64_t>((left + 999999) / 1000000);
}

// A call whose remaining time the program's memory has no place for: libom goes on with it at home.
bool ends_in_libom(const HomeExec& e, uint32_t nr) {
  const bool points_at_time = timeout_of(nr).kind == Timeout::kTimespec;
  return e.done > 0 || e.exec_nr != e.nr || (points_at_time && e.deadline_ns != 0);
}

}  // namespace

// One thread's return: what its registers have to be for the program to go on.
struct Mover::Return {
  user_regs_struct regs{};
  uint64_t sigmask = 0;
  std::vector<SignalRecord> signals;  // caught, not yet delivered: raised again natively
  bool apply = false;                 // outputs of the kept Return go to memory first
  bool late = false;                  // stays in libom until its transfer is complete
};

struct Mover::Item {
  StoppedThread* thread;
  const ThreadState* state;
  const std::vector<std::byte>* xsave;
  HomeThread home;
  Return plan;
  uint64_t stack;
};

Verdict<Mover::Return> Mover::plan_return(const StoppedThread& t, const HomeThread& h,
                                          const ThreadState& s) {
  Return r;
  r.regs = t.regs;
  const auto rax = static_cast<int64_t>(t.regs.rax);
  load_regs(s, r.regs);
  r.regs.orig_rax = ~0ull;
  r.sigmask = s.sigmask;
  // Signals that the body has not been told about, or whose Return it has not got.
  uint32_t from = h.noted_tail;
  if (h.call.seq != 0 && s.returned >= h.call.seq) from += h.noted_sent;
  for (uint32_t i = from; i != h.noted_head && r.signals.size() < kMaxNoted; i++) {
    r.signals.push_back(h.noted[i % kMaxNoted]);
  }
  if (h.core.number >= 1 && h.core.number <= 64) r.signals.push_back(h.core);
  if (!r.signals.empty()) r.sigmask = r.signals.front().frame_mask;

  const bool waiting = s.kind == kThreadWaiting && s.nr < kNrResume;
  if (!waiting) return r;
  const HomeExec& e = h.call;
  const uint32_t nr = s.nr;
  auto rewind = [&] {
    r.regs.rip -= 2;
    r.regs.rax = nr;
  };
  if (e.seq != s.seq)
    return refuse(ReasonCode::kInternal, "thread {} waits for a call that home does not know",
                  h.tid);
  const bool blocked = h.phase == kExecCall;
  if (!blocked) {
    if (!e.finished)
      return refuse(ReasonCode::kInternal, "thread {} waits for a call that is not finished",
                    h.tid);
    if (e.ret_flags & kRetRestart) {
      rewind();
    } else if (e.ret_flags & kRetEintr) {
      if (has_own_mask(nr)) {
        rewind();
      } else {
        r.regs.rax = static_cast<uint64_t>(-EINTR);
      }
    } else {
      r.regs.rax = static_cast<uint64_t>(e.result);
      r.apply = true;
    }
    return r;
  }
  // The rest of a socket's timeout is spent in the program.
  if (e.done == 0 && socket_wait_of(nr, e.program_args).waits &&
      (rax == -EINTR || e.exec_nr != e.nr)) {
    user_regs_struct call = r.regs;
    call.orig_rax = nr;
    call.rax = static_cast<uint64_t>(-EINTR);
    const double waited =
        e.started_ns != 0 ? static_cast<double>(now_ns(CLOCK_MONOTONIC) - e.started_ns) / 1e6 : 0;
    if (continue_call(*target_, waited, call)) {
      r.regs = call;
      return r;
    }
  }
  if (ends_in_libom(e, nr)) {
    r.late = true;
    return r;
  }
  if (rax == -EINTR) {
    // The kernel has forgotten how long it had waited: it is issued again with what remains.
    rewind();
    shorten(r.regs, nr, e.deadline_ns);
    return r;
  }
  // Restarted by the kernel at the program's own instruction, with the program's own arguments.
  r.regs.orig_rax = nr;
  r.regs.rax = static_cast<uint64_t>(rax);
  // select and ppoll keep their remaining time in memory that the program has, too.
  if (rax != kErestartBlock) copy_back_times(h, nr);
  return r;
}

bool Mover::hits_libom(uint64_t at, uint64_t bytes) const {
  return touches(at, bytes, target_->image_lo(), target_->image_hi()) ||
         touches_lent(at, bytes, arena_, home_.nslots);
}

// The kernel writes the remaining time of an interrupted select or ppoll to its argument: ours, for a call that the
// body has made; the program's memory at home, which the body's has replaced by now, for one that was carried over.
void Mover::copy_back_times(const HomeThread& h, uint32_t nr) {
  const uint32_t arg = time_left_at(nr);
  if (arg == 0 || h.call.program_args[arg] == 0 || h.call.exec_args[arg] == 0) return;
  std::byte time[sizeof h.timespec];
  if (hits_libom(h.call.program_args[arg], sizeof time)) return;
  if (h.call.transplanted) {
    memcpy(time, h.timespec, sizeof time);
  } else if (!target_->memory.read(h.call.exec_args[arg], time)) {
    return;
  }
  (void)target_->memory.write(h.call.program_args[arg], time);
}

Step Mover::restore_threads(StoppedProcess& stop, const std::vector<ThreadState>& states,
                            const std::vector<std::vector<std::byte>>& xsaves, uint64_t cpu_ns) {
  std::vector<Item> items;
  for (auto& t : stop.threads()) {
    const uint32_t slot = slot_of(t);
    const HomeThread h = OM_MUST(target_->thread(arena_, slot));
    auto it = std::find_if(states.begin(), states.end(),
                           [&](const ThreadState& s) { return s.slot == slot; });
    if (it == states.end()) {
      return refuse(ReasonCode::kInternal, "thread {} has no state", t.tid);
    }
    const auto index = static_cast<size_t>(it - states.begin());
    Item item{&t, &states[index], &xsaves[index], h, {}, stack_of(slot)};
    item.plan = OM_STEP(plan_return(t, h, *it));
    items.push_back(std::move(item));
  }
  if (items.size() != states.size())
    return refuse(ReasonCode::kInternal, "threads of home and body do not match");
  OM_STEP(fault("return.threads"));

  StoppedThread& first = *items.front().thread;
  for (Item& item : items) {
    if (!item.plan.apply) continue;
    const int64_t fault =
        OM_STEP(run_remote(stop, first, items.front().stack, kRemoteApply, item.home.slot));
    if (fault < 0) item.plan.regs.rax = static_cast<uint64_t>(fault);
  }
  for (const Item& item : items) {
    const uint64_t slot = slot_address(arena_, item.home.slot);
    OM_MUST_VOID(target_->memory.put(slot + kSlotReturn, *item.state));
    OM_MUST_VOID(target_->memory.write(slot + kSlotFrame + kFrameXsave, *item.xsave));
  }
  OM_STEP(fault("return.applied"));
  if (home_.phase != kHomeReturning) OM_STEP(add_cpu_time(cpu_ns, states));
  // From here on there is no way back: what fails now is completed by another deputy.
  home_.phase = kHomeReturning;
  OM_MUST_VOID(target_->put_home_field(offsetof(HomeState, phase), home_.phase));
  Step left = fault("return.decided");
  KJ_IF_MAYBE (exception, kj::runCatchingExceptions([&] {
                 if (left.ok()) left = leave_libom(stop, items);
               })) {
    left = broken(*exception);
  }
  if (!left) {
    if (has_ended(pid_)) return refuse(ReasonCode::kNoSuchProcess, "it has ended");
    log_error("mover", "process {}: the return has to be completed by another deputy: {}", pid_,
              left.reason().message());
    ::_exit(1);
  }
  return Done{};
}

// Too late to stay away, but not to be told.
void Mover::tell_refused(const Item& item, const std::string& what, int64_t error) {
  const std::string text =
      fmt::format("process {}: thread {} came home without its {}: {}", pid_, item.thread->tid,
                  what, ::strerror(static_cast<int>(-error)));
  log_error("mover", "{}", text);
  around_.note(std::string(reason_info(ReasonCode::kInternal).name), text);
}

// A call that puts something of the program's back. The kernel may refuse it for what the body has claimed about
// itself, or because this node's CPU asks for more (the size of an alternate stack).
Step Mover::put_back(StoppedProcess& stop, const Item& item, const char* what, uint64_t nr,
                     std::initializer_list<uint64_t> args) {
  const int64_t result = OM_MUST(stop.call(*item.thread, *target_, item.stack, nr, args));
  if (result < 0) tell_refused(item, what, result);
  return Done{};
}

// A signal that was caught for the body: pending again. Natively the kernel had counted it when it came; that room may
// have gone to others meanwhile, and the limit be one that the program has set lower than it could.
Step Mover::queue_signal(StoppedProcess& stop, const Item& item, const SignalRecord& signal) {
  const uint64_t scratch = slot_address(arena_, item.home.slot) + kScratch;
  OM_MUST_VOID(target_->memory.write(scratch, std::as_bytes(std::span(signal.info))));
  auto queue = [&] {
    return stop.call(*item.thread, *target_, item.stack, SYS_rt_tgsigqueueinfo,
                     {static_cast<uint64_t>(inner_pid_), static_cast<uint64_t>(item.home.tid),
                      signal.number, scratch});
  };
  int64_t queued = OM_MUST(queue());
  if (queued == -EAGAIN) {
    rlimit own{};
    ::prlimit(pid_, RLIMIT_SIGPENDING, nullptr, &own);
    const rlimit most{own.rlim_max, own.rlim_max};
    ::prlimit(pid_, RLIMIT_SIGPENDING, &most, nullptr);
    KJ_DEFER(::prlimit(pid_, RLIMIT_SIGPENDING, &own, nullptr));
    const Deadline limit = std::chrono::steady_clock::now() + kQueueLimit;
    while (queued == -EAGAIN && std::chrono::steady_clock::now() < limit) {
      queued = OM_MUST(queue());
      if (queued == -EAGAIN) std::this_thread::sleep_for(kNap);
    }
  }
  if (queued < 0) tell_refused(item, fmt::format("signal {}", signal.number), queued);
  return Done{};
}

// The program's own dispositions, no descriptor of ours, its signals and registers, while nothing can run.
Step Mover::leave_libom(StoppedProcess& stop, std::vector<Item>& items) {
  StoppedThread& first = *items.front().thread;
  // What the kernel still reads and writes for a transfer that goes on must not be given back.
  for (Item& item : items) {
    if (!item.plan.late) continue;
    item.home.keeps = 1;
    OM_MUST_VOID(target_->memory.put(
        target_->thread_address(arena_, item.home.slot) + offsetof(HomeThread, keeps),
        item.home.keeps));
  }
  OM_STEP(run_remote(stop, first, items.front().stack, kRemoteRestore, 0));
  for (Item& item : items) {
    const ThreadState& s = *item.state;
    const uint64_t scratch = slot_address(arena_, item.home.slot) + kScratch;
    struct {
      uint64_t sp;
      uint32_t flags, pad;
      uint64_t size;
    } altstack{s.altstack[0], s.altstack[2] != 0 ? static_cast<uint32_t>(s.altstack[1]) : 2u, 0,
               s.altstack[2]};
    OM_MUST_VOID(target_->memory.put(scratch, altstack));
    OM_STEP(put_back(stop, item, "alternate stack", SYS_sigaltstack, {scratch, 0}));
    OM_STEP(put_back(stop, item, "clear_child_tid", SYS_set_tid_address, {s.ctid}));
    if (s.robust_size != 0) {
      OM_STEP(
          put_back(stop, item, "robust list", SYS_set_robust_list, {s.robust_head, s.robust_size}));
    }
    if (s.rseq_address != item.home.rseq_address) {
      const char* const rseq = "restartable sequences";
      if (item.home.rseq_address != 0) {
        OM_STEP(
            put_back(stop, item, rseq, SYS_rseq,
                     {item.home.rseq_address, item.home.rseq_size, 1, item.home.rseq_signature}));
      }
      if (s.rseq_address != 0) {
        OM_STEP(put_back(stop, item, rseq, SYS_rseq,
                         {s.rseq_address, s.rseq_size, 0, s.rseq_signature}));
      }
    }
    for (const SignalRecord& signal : item.plan.signals) {
      if ((signal.flags & SA_RESETHAND) != 0 && signal.number <= 64) {
        // Its delivery at home has reset the handler, which is still to be called.
        KernelSigaction action = home_.actions[signal.number];
        action.handler = signal.handler;
        OM_MUST_VOID(target_->memory.put(scratch, action));
        OM_STEP(put_back(stop, item, "handler", SYS_rt_sigaction, {signal.number, scratch, 0, 8}));
      }
      OM_STEP(queue_signal(stop, item, signal));
    }
    if (!item.plan.signals.empty()) {
      item.home.noted_tail = item.home.noted_head;
      item.home.noted_sent = 0;
      item.home.core.number = 0;
      OM_MUST_VOID(target_->put_thread(arena_, item.home.slot, item.home));
    }
  }
  OM_MUST(stop.call(first, *target_, items.front().stack, SYS_close,
                    {static_cast<uint64_t>(home_.fd_base)}));

  for (Item& item : items) {
    StoppedThread& t = *item.thread;
    HomeThread h = item.home;
    if (item.plan.late) {
      // Still inside its transfer: the executor ends it and resumes the program by this frame.
      OM_STEP(leave_late(t, h, item.plan.regs, item.plan.sigmask, *item.xsave));
      continue;
    }
    // The kernel insists on its own size of the area.
    std::vector<std::byte> area(t.xstate.size());
    std::copy_n(item.xsave->begin(), std::min(area.size(), item.xsave->size()), area.begin());
    OM_MUST_VOID(t.tracee.set_xstate(area));
    // The registers last: those before are libom's, with a frame.
    OM_MUST_VOID(t.tracee.set_signal_mask(item.plan.sigmask));
    OM_MUST_VOID(t.tracee.set_regs(item.plan.regs));
    h.state = kSlotFree;
    h.frame_valid = kFrameNone;
    OM_MUST_VOID(target_->put_thread(arena_, h.slot, h));
    if (&item == &items.front()) OM_STEP(fault("return.leave"));
  }
  OM_STEP(fault("return.left"));
  home_.phase = kHomeNative;
  home_.hold = 0;
  OM_MUST_VOID(target_->put_home_field(offsetof(HomeState, phase), home_.phase));
  OM_MUST_VOID(target_->put_home_field(offsetof(HomeState, hold), home_.hold));
  give_arena_back(stop);
  stop.detach();
  return Done{};
}

Step Mover::leave_late(StoppedThread& t, HomeThread h, const user_regs_struct& regs,
                       uint64_t sigmask, const std::vector<std::byte>& xsave) {
  const uint64_t slot = slot_address(arena_, h.slot);
  OM_MUST_VOID(target_->memory.put(slot + kSlotFrame, frame_of(regs, sigmask)));
  OM_MUST_VOID(target_->memory.write(slot + kSlotFrame + kFrameXsave, xsave));
  h.late = 1;
  // A call that the kernel restarts by itself ends early from now on only because of a signal of the program.
  if (is_restart(static_cast<int64_t>(t.regs.rax))) h.interrupted = 0;
  OM_MUST_VOID(target_->put_thread(arena_, h.slot, h));
  // The program's handlers may run on top of the executor until the transfer is complete.
  user_regs_struct there = t.regs;
  there.fs_base = regs.fs_base;
  OM_MUST_VOID(t.tracee.set_signal_mask(sigmask));
  OM_MUST_VOID(t.tracee.set_regs(there));
  return Done{};
}

}  // namespace om::deputy

// SPDX-License-Identifier: Apache-2.0
//
// libom's own memory in a process that is about to leave: where it lies, which slot is whose, what only the
// threads themselves can tell. Part of a departure (depart.cc); all threads are stopped, nothing of the program
// is changed.
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <algorithm>
#include <memory>
#include "common/base/log.h"
#include "common/cpu/cpu_features.h"
#include "common/movable/preflight.h"
#include "common/proc/process.h"
#include "common/proc/stat.h"
#include "common/proc/status.h"
#include "deputy/base/host.h"
#include "deputy/base/text.h"
#include "deputy/home/frames.h"
#include "deputy/mover.h"
#include "gen/syscalls_desc.h"
#include "libom/abi/trace.h"

namespace om::deputy {

bool Mover::is_in_arena(const StoppedThread& t) const {
  return home_.arena != 0 && t.regs.rsp >= home_.arena &&
         t.regs.rsp < home_.arena + arena_bytes(home_.nslots);
}

// A thread that still completes a transfer which it began away keeps its slot, where its executor runs; the
// others go around it. Slots are numbered without gaps.
Step Mover::place_threads(StoppedProcess& stop) {
  auto& threads = stop.threads();
  for (size_t i = 0; i < threads.size(); i++) {
    if (!is_in_arena(threads[i])) continue;
    const uint32_t slot = slot_of(threads[i]);
    if (slot == i) continue;
    const bool free =
        slot < threads.size() && !(is_in_arena(threads[slot]) && slot_of(threads[slot]) == slot);
    if (!free)
      return refuse(ReasonCode::kInCall, "thread {} completes a transfer that it began away",
                    threads[i].tid);
    std::swap(threads[i], threads[slot]);
    i = static_cast<size_t>(-1);  // what was swapped here may have to go elsewhere, too
  }
  return Done{};
}

// The program's state of such a thread is in its frame, its call in its slot.
Verdict<ThreadPlan> Mover::plan_late(const StoppedThread& t, const HomeThread& h) {
  const auto rax = static_cast<int64_t>(t.regs.rax);
  const bool waits = t.in_call() && t.regs.rip >= target_->image_lo() &&
                     t.regs.rip < target_->image_hi() &&
                     (rax == -EINTR || (rax <= -512 && rax >= -516));
  if (h.late == 0 || h.phase != kExecCall || !waits) {
    return refuse(ReasonCode::kInCall, "thread {} completes a transfer that it began away", t.tid);
  }
  const ResumeFrame frame =
      OM_MUST(target_->memory.get<ResumeFrame>(slot_address(arena_, slot_of(t)) + kSlotFrame));
  ThreadPlan plan;
  ThreadState& s = plan.state;
  s.tid = t.inner_tid;
  s.kind = kThreadWaiting;
  s.nr = h.call.nr;
  std::copy(std::begin(h.call.program_args), std::end(h.call.program_args), s.args);
  s.seq = 1;
  std::copy(std::begin(frame.gpr), std::end(frame.gpr), s.regs);
  s.fs_base = t.regs.fs_base;
  s.sigmask = frame.sigmask;
  s.robust_head = t.robust_head;
  s.robust_size = t.robust_size;
  s.rseq_address = t.rseq.address;
  s.rseq_size = t.rseq.size;
  s.rseq_signature = t.rseq.signature;
  plan.at_home = AtHome::kLate;
  return plan;
}

// libom's memory in the process: reserved if it is not there, slots made accessible as they are needed.
Step Mover::set_up_arena(StoppedProcess& stop) {
  StoppedThread& t = stop.threads().front();
  const bool late = plans_.front().at_home == AtHome::kLate;
  const ResumeFrame aid =
      late ? executor_frame(t) : frame_of(t.ahead ? *t.ahead : plans_.front().resume, t.sigmask);
  OM_MUST_VOID(target_->memory.put(target_->anchor.first_aid + offsetof(FirstAid, frame), aid));
  auto must = [](Result<int64_t> r, const char* what) -> Step {
    if (!r) return internal(r.error());
    // EAGAIN: it locks all memory that it maps.
    if (*r == -ENOMEM || *r == -EAGAIN)
      return refuse(ReasonCode::kHomeMemory, "{}: {}", what, strerror(static_cast<int>(-*r)));
    if (*r < 0 && *r > -4096) return internal(Error{static_cast<int>(-*r), what});
    return Done{};
  };
  const auto count = static_cast<uint32_t>(plans_.size());
  if (home_.arena == 0) {
    // There is no stack of ours yet: a bare call needs none.
    auto r = stop.first_call(
        t, *target_, SYS_mmap,
        {arena_, arena_bytes(home_.nslots), PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, ~0ull, 0});
    OM_STEP(must(r, "reserve libom's memory"));
    if (static_cast<uint64_t>(*r) != arena_)
      return refuse(ReasonCode::kInternal, "the place for libom's memory was taken");
    home_.arena = arena_;
    home_.slots_ready = 0;
    OM_MUST_VOID(target_->put_home_field(offsetof(HomeState, arena), arena_));
    OM_MUST_VOID(target_->put_home_field(offsetof(HomeState, nslots), home_.nslots));
    OM_STEP(must(
        stop.first_call(t, *target_, SYS_mprotect, {arena_, kControlSize, PROT_READ | PROT_WRITE}),
        "prepare libom's memory"));
  }
  while (home_.slots_ready < count) {
    OM_STEP(must(stop.first_call(t, *target_, SYS_mprotect,
                                 {slot_address(arena_, home_.slots_ready) + kSlotGuard,
                                  kSlotSize - kSlotGuard, PROT_READ | PROT_WRITE}),
                 "prepare libom's memory"));
    home_.slots_ready++;
  }
  OM_MUST_VOID(target_->put_home_field(offsetof(HomeState, slots_ready), home_.slots_ready));
  // Calls are counted anew for each stay away.
  if (OM_MUST(target_->memory.get<uint64_t>(arena_ + kControlTrace)) != 0) {
    auto empty = std::make_unique<TraceArea>();
    OM_MUST_VOID(target_->memory.put(arena_ + kControlTrace, *empty));
  }
  // Slots of threads to come count their calls anew, as the body does.
  for (uint32_t i = count; i < home_.slots_ready; i++) {
    HomeThread h{};
    h.slot = i;
    h.channel_fd = -1;
    OM_MUST_VOID(target_->put_thread(arena_, i, h));
  }
  return Done{};
}

// When no thread is in it any more and all have the registers with which they go on: it would count in the program's
// limits and lie in its way. Should we die meanwhile, it stays, and nobody knows of it.
void Mover::give_arena_back(StoppedProcess& stop) {
  const uint64_t at = home_.arena, none = 0;
  const auto tasks = proc::list_tasks(pid_);
  if (at == 0 || !tasks || stop.threads().empty() || stop.threads().size() != tasks->size()) return;
  for (auto& t : stop.threads()) {
    auto regs = t.tracee.regs();
    if (!regs) return;
    t.regs = *regs;
    if (is_in_arena(t)) return;
  }
  StoppedThread& t = stop.threads().front();
  auto mask = t.tracee.signal_mask();
  if (!mask) return;
  t.sigmask = *mask;
  if (!target_->memory.put(target_->anchor.first_aid + offsetof(FirstAid, frame),
                           executor_frame(t)) ||
      !target_->put_home_field(offsetof(HomeState, arena), none))
    return;
  home_.arena = 0;
  const auto r = stop.first_call(t, *target_, SYS_munmap, {at, arena_bytes(home_.nslots)});
  if (!r || *r != 0) log_warn("mover", "process {}: libom's memory cannot be given back", pid_);
  (void)t.tracee.set_signal_mask(t.sigmask);
  (void)t.tracee.set_regs(t.regs);
}

// Timers and limits that count CPU time would count the twins' only, which use next to none.
Step Mover::ask_cpu_timers(StoppedProcess& stop, StoppedThread& t, uint64_t stack,
                           uint64_t scratch) {
  if (OM_MUST(proc::read_limit(pid_, RLIMIT_CPU)).rlim_cur != RLIM_INFINITY)
    return refuse(ReasonCode::kCpuTimer, "RLIMIT_CPU");
  for (const int which : {ITIMER_VIRTUAL, ITIMER_PROF}) {
    itimerval left{};
    const auto got = OM_MUST(
        stop.call(t, *target_, stack, SYS_getitimer, {static_cast<uint64_t>(which), scratch}));
    OM_MUST_VOID(target_->memory.read(scratch, std::as_writable_bytes(std::span(&left, 1))));
    if (got == 0 && (left.it_value.tv_sec != 0 || left.it_value.tv_usec != 0)) {
      return refuse(ReasonCode::kCpuTimer, "{}",
                    which == ITIMER_PROF ? "ITIMER_PROF" : "ITIMER_VIRTUAL");
    }
  }
  // Not there without CONFIG_CHECKPOINT_RESTORE.
  if (auto timers = proc::read_cpu_timers(pid_); timers && *timers > 0) {
    return refuse(ReasonCode::kCpuTimer, "timer_create");
  }
  return Done{};
}

// What the kernel does to the instructions and mappings of the program, asked in the main thread.
Step Mover::ask_settings(StoppedProcess& stop, StoppedThread& t, uint64_t stack, uint64_t scratch) {
  constexpr uint64_t kGetCpuid = 0x1011, kGetMdwe = 66;  // ARCH_GET_CPUID, PR_GET_MDWE
  const int32_t allowed = PR_TSC_ENABLE;
  OM_MUST_VOID(target_->memory.put(scratch, allowed));
  OM_MUST(stop.call(t, *target_, stack, SYS_prctl, {PR_GET_TSC, scratch, 0, 0, 0}));
  if (OM_MUST(target_->memory.get<int32_t>(scratch)) != allowed)
    return refuse(ReasonCode::kOwnTraps, "the time stamp counter");
  if (OM_MUST(stop.call(t, *target_, stack, SYS_arch_prctl, {kGetCpuid, 0})) == 0)
    return refuse(ReasonCode::kOwnTraps, "CPUID");
  denies_exec_ = OM_MUST(stop.call(t, *target_, stack, SYS_prctl, {kGetMdwe, 0, 0, 0, 0})) > 0;
  return Done{};
}

// Descriptor numbers for libom: together, as high as the hard limit allows, none of them the program's.
Step Mover::choose_descriptors() {
  auto nofile = OM_MUST(proc::read_limit(pid_, RLIMIT_NOFILE));
  const auto fds = OM_MUST(proc::list_fds(proc::memory_tid(pid_)));
  const auto first = find_descriptors(fds, nofile.rlim_max, home_.nslots + 1);
  if (!first)
    return refuse(ReasonCode::kFdLimit, "{} numbers in a row are needed", home_.nslots + 1);
  fd_base_ = *first;
  home_.row_is_full = nofile.rlim_cur > static_cast<rlim_t>(*first);
  // By name, whatever /proc it was found in; libom looks at each itself.
  constexpr std::string_view kShowMemory[] = {"mem",          "pagemap",   "smaps",
                                              "smaps_rollup", "numa_maps", "clear_refs"};
  home_.memory_files = std::any_of(fds.begin(), fds.end(), [&](const proc::FdEntry& fd) {
    const std::string_view name = std::string_view(fd.target).substr(fd.target.rfind('/') + 1);
    return std::find(std::begin(kShowMemory), std::end(kShowMemory), name) != std::end(kShowMemory);
  });
  return Done{};
}

// What only a thread itself can tell: alternate stack, clear_child_tid. Also writes the slots.
Step Mover::ask_threads(StoppedProcess& stop) {
  const auto leader = proc::read_status(pid_);
  inner_pid_ = leader && !leader->ns_pids.empty() ? leader->ns_pids.back() : pid_;
  for (uint32_t i = 0; i < plans_.size(); i++) {
    StoppedThread& t = stop.threads()[i];
    ThreadPlan& plan = plans_[i];
    const uint64_t slot = slot_address(arena_, i), scratch = slot + kScratch, stack = stack_of(i);

    // First the frame, so that the thread finds its way should we die between two steps.
    const bool late = plan.at_home == AtHome::kLate;
    HomeThread h{};
    if (late) h = OM_MUST(target_->thread(arena_, i));
    h.state = kSlotUsed;
    h.slot = i;
    h.tid = plan.state.tid;
    h.channel_fd = -1;
    h.rseq_address = plan.state.rseq_address;
    h.rseq_size = plan.state.rseq_size;
    h.rseq_signature = plan.state.rseq_signature;
    // (A late thread's executor goes on: it resumes the program itself.)
    h.frame_valid = late ? kFrameExecutor : kFrameProgram;
    if (late) {
      OM_MUST_VOID(target_->memory.put(slot + kSlotExecFrame, executor_frame(t)));
    } else {
      ResumeFrame frame = frame_of(plan.resume, plan.state.sigmask);
      frame.pad[kFrameRewound] =
          plan.at_home == AtHome::kRestart || plan.at_home == AtHome::kReissue;
      frame.pad[kFrameWaits] = plan.state.kind == kThreadWaiting;
      frame.pad[kFrameNr] = plan.state.nr;
      std::copy(std::begin(plan.state.args), std::end(plan.state.args), frame.pad + kFrameArgs);
      if (t.ahead) {
        frame.pad[kFrameAheadRip] = t.ahead->rip;
        frame.pad[kFrameAheadRsp] = t.ahead->rsp;
      }
      OM_MUST_VOID(target_->memory.put(slot + kSlotFrame, frame));
      OM_MUST_VOID(target_->memory.write(slot + kSlotFrame + kFrameXsave, t.xstate));
    }
    OM_MUST_VOID(target_->put_thread(arena_, i, h));

    struct {
      uint64_t sp;
      int32_t flags, pad;
      uint64_t size;
      uint64_t ctid;
    } answer{};
    auto got = OM_MUST(stop.call(t, *target_, stack, SYS_sigaltstack, {0, scratch}));
    if (got != 0) return refuse(ReasonCode::kInternal, "sigaltstack in thread {}: {}", t.tid, got);
    got = OM_MUST(
        stop.call(t, *target_, stack, SYS_prctl, {PR_GET_TID_ADDRESS, scratch + 24, 0, 0, 0}));
    OM_MUST_VOID(target_->memory.read(scratch, std::as_writable_bytes(std::span(&answer, 1))));
    plan.state.ctid = got == 0 ? answer.ctid : 0;
    if (!late) {
      OM_MUST_VOID(target_->memory.put(
          slot + kSlotFrame + offsetof(ResumeFrame, pad) + kFrameCtid * sizeof(uint64_t),
          plan.state.ctid));
    }
    if (i == 0) OM_STEP(ask_cpu_timers(stop, t, stack, scratch));
    if (i == 0) OM_STEP(ask_settings(stop, t, stack, scratch));
    if (i == 0)
      brk_now_ = static_cast<uint64_t>(OM_MUST(stop.call(t, *target_, stack, SYS_brk, {0})));
    constexpr int32_t kDisable = 2, kAutodisarm = static_cast<int32_t>(1u << 31);
    if (!(answer.flags & kDisable)) {
      plan.state.altstack[0] = answer.sp;
      plan.state.altstack[1] = static_cast<uint32_t>(answer.flags & kAutodisarm);
      plan.state.altstack[2] = answer.size;
    }
    h.altstack[0] = plan.state.altstack[0];
    h.altstack[1] = plan.state.altstack[2] != 0 ? plan.state.altstack[1] : kDisable;
    h.altstack[2] = plan.state.altstack[2];
    OM_MUST_VOID(target_->put_thread(arena_, i, h));
  }
  return Done{};
}

}  // namespace om::deputy

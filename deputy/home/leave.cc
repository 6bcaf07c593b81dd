// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/leave.h"

#include <sys/syscall.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "deputy/home/connect_socket.h"
#include "deputy/home/frames.h"
#include "gen/syscalls_desc.h"
#include "libom/abi/anchor.h"
#include "libom/abi/home.h"
#include "libom/abi/sockets.h"
#include "libom/abi/thread.h"

namespace om::deputy {
namespace {

constexpr uint64_t kStackTop = kSlotStack + kSlotStackSize - 64;
constexpr uint64_t kDirectionFlag = 0x400;

// Notes how much room each argument has whose length is in memory: the kernel may have changed that when the call ends.
void note_room(const HomeSide& home, HomeExec& e) {
  const SyscallDesc& desc = syscall_desc(e.nr);
  for (unsigned n = 0; n < desc.nargs; n++) {
    const ArgDesc& arg = arg_desc(desc, find_command(desc, e.program_args), n);
    if (arg.kind != ArgKind::kBuf || arg.len != LenKind::kDeref || e.program_args[arg.len_arg] == 0)
      continue;
    if (auto word = home.target->memory.get<uint32_t>(e.program_args[arg.len_arg]))
      e.deref_cap[n] = *word;
  }
}

// Prepares the slot of a thread whose call goes on at home.
Step hand_call_over(const HomeSide& home, StoppedProcess& stop, StoppedThread& t,
                    const ThreadPlan& plan) {
  const uint32_t i = plan.state.slot;
  const uint64_t slot = slot_address(home.arena, i);
  // An executor switches the program's alternate stack off when it starts; a carried-over call cannot.
  OM_MUST_VOID(home.target->memory.put(slot + kScratch, k::StackT{0, k::kSsDisable, 0, 0}));
  auto r =
      OM_MUST(stop.call(t, *home.target, home.stack_of(i), SYS_sigaltstack, {slot + kScratch, 0}));
  if (r != 0) return refuse(ReasonCode::kInternal, "sigaltstack in thread {}: {}", t.tid, r);
  HomeThread h = OM_MUST(home.target->thread(home.arena, i));
  if (plan.at_home == AtHome::kLate) {
    h.late = 0;
    h.interrupted = 1;
    h.seq_started = 1;
    h.call.seq = 1;
    h.call.wire_flags = kCallWaited | kCallSignals;
    OM_MUST_VOID(home.target->put_thread(home.arena, i, h));
    return Done{};
  }
  h.phase = kExecCall;
  h.interrupted = plan.at_home == AtHome::kRestart ? 0 : 1;
  h.seq_started = 1;
  HomeExec& e = h.call;
  e.seq = 1;
  e.nr = e.exec_nr = plan.state.nr;
  e.wire_flags = kCallWaited | kCallSignals;
  std::copy(std::begin(plan.state.args), std::end(plan.state.args), e.program_args);
  std::copy(std::begin(plan.state.args), std::end(plan.state.args), e.exec_args);
  e.transplanted = 1;
  e.deadline_ns = plan.deadline_ns;
  e.started_ns = plan.started_ns;
  note_room(home, e);
  OM_MUST_VOID(home.target->put_thread(home.arena, i, h));
  return Done{};
}

// The registers with which a thread goes on as an executor.
user_regs_struct executor_regs(const HomeSide& home, user_regs_struct r, const ThreadPlan& plan) {
  const Anchor& a = home.target->anchor;
  r.eflags &= ~kDirectionFlag;
  if (plan.at_home == AtHome::kLate) return r;
  r.rsp = slot_address(home.arena, plan.state.slot) + kStackTop;
  r.rip = plan.at_home == AtHome::kIdle ? a.executor_entry : a.transplant_end;
  // The kernel restarts the call: it goes back by the length of a syscall instruction.
  if (plan.at_home != AtHome::kRestart) r.orig_rax = ~0ull;
  return r;
}

}  // namespace

Step connect_home(HomeSide& home, StoppedProcess& stop, const ThreadPlans& plans,
                  HomeConnections with) {
  home.socket.emplace(with.session, with.member, with.channels);
  std::copy(std::begin(with.session), std::end(with.session), home.state.session_id);
  home.state.member = with.member;
  home.state.phase = kHomeCaptured;
  home.state.fd_base = home.fd_base;
  home.state.deputy_fd = home.state.pair[0] = home.state.pair[1] = -1;
  home.state.hold = home.state.effectful = home.state.dropped = 0;
  home.state.undone = home.state.place_lock = home.state.asker = 0;
  home.state.ticket_word = home.state.ticket_waiters = 0;
  home.state.tickets_done = 0;
  home.state.mirror_failed = 0;
  home.state.arena = home.arena;

  home.state.drop_count = with.drops.size();
  OM_MUST_VOID(home.target->memory.write(home.arena + kControlPlan, std::as_bytes(with.drops)));
  OM_MUST_VOID(home.target->put_home(home.state));

  const LiftedFiles lifted(home.pid, static_cast<uint64_t>(home.fd_base) + home.state.nslots + 1);
  StoppedThread& t = stop.threads().front();
  const uint64_t stack = home.stack_of(0);
  OM_TRY(fault("depart.connect"));
  OM_TRY(connect_socket(home, stop));
  OM_TRY(fault("depart.take"));
  std::vector<std::pair<uint32_t, ChannelEnd>> channels;
  for (uint32_t i = 0; i < plans.threads.size(); i++) channels.emplace_back(i, with.channels(i));
  OM_MUST_VOID(home.socket->send_channels(channels));
  const int64_t taken = OM_TRY(home.run_remote(stop, t, stack, kRemoteTake, 0));
  if (taken != 0) return internal(Error{static_cast<int>(-taken), "libom's preparation"});
  home.state = OM_MUST(home.target->home());
  return fault("depart.taken");
}

Step leave_home(HomeSide& home, StoppedProcess& stop, const ThreadPlans& plans) {
  for (uint32_t i = 0; i < plans.threads.size(); i++) {
    if (plans.threads[i].at_home != AtHome::kIdle)
      OM_TRY(hand_call_over(home, stop, stop.threads()[i], plans.threads[i]));
  }
  for (uint32_t i = 0; i < plans.threads.size(); i++) {
    StoppedThread& t = stop.threads()[i];
    const ThreadPlan& plan = plans.threads[i];
    t.changed = true;
    // The mask first: until then the registers are libom's, with a frame. No executor serves until the phase says so.
    OM_MUST_VOID(t.tracee.set_signal_mask(plan.state.kernel.sigmask));
    OM_MUST_VOID(t.tracee.set_regs(executor_regs(home, t.regs, plan)));
    if (i == 0) OM_TRY(fault("depart.registers"));
  }
  home.state.phase = kHomeAway;
  OM_MUST_VOID(home.target->put_home_field(offsetof(HomeState, phase), home.state.phase));
  OM_TRY(fault("depart.decided"));
  stop.detach();
  return Done{};
}

void undo_leaving(HomeSide& home, StoppedProcess& stop, const ThreadPlans& plans) {
  auto native = [&home] {
    home.state.phase = kHomeNative;
    (void)home.target->put_home_field(offsetof(HomeState, phase), home.state.phase);
  };
  if (!home.socket || home.socket->fd() < 0) return native();
  StoppedThread& t = stop.threads().front();
  const uint64_t stack = home.stack_of(0);
  (void)home.run_remote(stop, t, stack, kRemoteRestore, 0);
  (void)stop.call(t, *home.target, stack, SYS_close, {static_cast<uint64_t>(home.state.fd_base)});
  for (uint32_t i = 0; i < plans.threads.size() && i < stop.threads().size(); i++) {
    const uint64_t scratch = slot_address(home.arena, i) + kScratch;
    if (home.target->memory.put(scratch, altstack_of(plans.threads[i].state.kernel))) {
      StoppedThread& thread = stop.threads()[i];
      (void)stop.call(thread, *home.target, home.stack_of(i), SYS_sigaltstack, {scratch, 0});
    }
  }
  native();
}

}  // namespace om::deputy

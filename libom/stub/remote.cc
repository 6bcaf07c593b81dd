// SPDX-License-Identifier: Apache-2.0
//
// Code that the deputy makes a stopped thread run: small functions on the slot's stack, and the way back for
// a thread whose deputy died in the middle (`orphan`): a ResumeFrame says where the program or the executor was.
//
// What a dying deputy leaves behind (the kernel lets every thread run from the registers that it has then):
//
//   the thread was                        during a departure          during a homecoming
//   untouched                             program                     executor
//   in an injected call, a function       back by kFrameProgram       back by kFrameExecutor
//   at executor_entry                     back by kFrameProgram       -
//   in a transplanted call                when the call ends          -
//   already given its program registers   -                           program
//
// HomeState.phase = kHomeAway decides a departure; the deputy writes it when every thread has its executor's
// registers. Before, every thread goes back to the program; after, every one is an executor and waits for
// another deputy. kHomeReturning decides a homecoming: before, the executors go on; after, another deputy
// completes it. A thread has a signal mask that is not its own only while it runs our code.
#include "libom/stub/remote.h"

#include "libom/abi/kernel.h"
#include "libom/abi/waiting.h"
#include "libom/safe/atomic.h"
#include "libom/safe/call_layout.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/row.h"
#include "libom/safe/stream.h"
#include "libom/safe/syscall.h"
#include "libom/stub/deputy_socket.h"
#include "libom/stub/drop.h"
#include "libom/stub/executor_memory.h"
#include "libom/stub/messages.h"
#include "libom/stub/mirror.h"
#include "libom/stub/program_memory.h"
#include "libom/stub/signal.h"
#include "libom/stub/stub.h"
#include "libom/stub/window.h"

extern "C" {
[[noreturn]] void om_orphan_main(void* stack);
[[noreturn]] void om_first_main();
[[noreturn]] void om_remote_main(uint64_t function, uint64_t argument, void* stack);
[[noreturn]] void om_resume_user(const om::ResumeFrame* frame);
[[noreturn]] void om_resume_registers(const om::ResumeFrame* frame);
void om_catcher(int sig, om::k::Siginfo* info, om::k::Ucontext* uc);
}

namespace om::stub {
namespace {

using safe::sys;

// Returns when the socket is closed at the other end; consumes nothing that the deputy sends.
void wait_for_deputy_death() {
  for (;;) {
    uint64_t unused;
    const long r = sys(kNr_recvfrom, g_home.deputy_fd, &unused, sizeof unused, k::kMsgPeek, 0, 0);
    if (r == -k::kEINTR) continue;
    if (r == 0 || (r < 0 && r != -k::kEAGAIN)) return;
    k::Timespec ts{0, 50000000};
    sys(kNr_nanosleep, &ts, 0);
  }
}

// Writes the outputs of the kept Return to the program's memory, which is complete at home again.
long apply_return(HomeThread* t) {
  HomeExec& e = t->call;
  const auto* from = reinterpret_cast<const uint8_t*>(t->outs_address);
  uint64_t left = t->outs_bytes;
  if (left == 0) return 0;
  SyscallDesc storage;
  const SyscallDesc& row = syscall_desc(e.nr);
  if (row.route == Route::kUnknown) return 0;
  const SyscallDesc& desc = *safe::resolve_row(row, e.program_args, storage).desc;
  long fault = 0;
  for (uint32_t i = 0; i < desc.nargs; i++) {
    const ArgDesc& a = desc.args[i];
    if (a.kind != ArgKind::kBuf || e.program_args[i] == 0 || !safe::comes_out(a)) continue;
    if (!safe::copied_out(a, e.result) || safe::is_idle_length(desc, e.program_args, i)) continue;
    uint64_t n = 0;
    if (safe::needs_deref(a)) {
      if (left < 8) break;
      n = safe::load<uint64_t>(from);
      from += 8;
      left -= 8;
    } else {
      n = safe::used_bytes(a, e.program_args, e.result);
    }
    if (n > left) break;
    if (a.len == LenKind::kIovRet) {
      uint64_t at = 0;
      for (uint64_t v = 0; v < e.program_args[a.len_arg] && at < n; v++) {
        k::Iovec iov;
        k::Iovec local{reinterpret_cast<uint64_t>(&iov), sizeof iov};
        k::Iovec remote{e.program_args[i] + v * sizeof iov, sizeof iov};
        if (sys(kNr_process_vm_readv, sys(kNr_getpid), &local, 1, &remote, 1, 0) != sizeof iov)
          return -k::kEFAULT;
        const uint64_t chunk = iov.len < n - at ? iov.len : n - at;
        if (chunk > 0 && !write_program(iov.base, from + at, chunk)) fault = -k::kEFAULT;
        at += chunk;
      }
    } else if (n > 0 && !write_program(e.program_args[i], from, n)) {
      fault = -k::kEFAULT;
    }
    const uint64_t padded = safe::round8(n);
    from += padded;
    left = padded > left ? 0 : left - padded;
  }
  return fault;
}

// Moves a descriptor of ours to its own number, out of the program's way. `fd` may already have it, if the program uses
// all numbers below.
long move_to(long fd, int number) {
  if (fd == number) return fd;
  const long r = sys(kNr_dup3, fd, number, static_cast<long>(k::kOCloexec));
  sys(kNr_close, fd);
  return r;
}

long take_channels() {
  uint32_t usable = kChannelPlain;  // the cipher that all of them have
  for (;;) {
    ChannelBatch batch{};
    k::Iovec iov{reinterpret_cast<uint64_t>(&batch), sizeof batch};
    alignas(8) uint8_t control[sizeof(k::Cmsghdr) + kChannelBatch * 4];
    k::Msghdr h{};
    h.iov = reinterpret_cast<uint64_t>(&iov);
    h.iovlen = 1;
    h.control = reinterpret_cast<uint64_t>(control);
    h.controllen = sizeof control;
    const long n = sys(kNr_recvmsg, g_home.deputy_fd, &h, k::kMsgCmsgCloexec);
    if (n == -k::kEINTR) continue;
    if (n != sizeof batch || batch.count > kChannelBatch || (h.flags & k::kMsgCtrunc))
      return n < 0 ? n : -k::kEPROTO;
    const auto cmsg = safe::load<k::Cmsghdr>(control);
    if (batch.count > 0 && cmsg.len != sizeof cmsg + batch.count * 4) return -k::kEPROTO;
    // Slots and received numbers both ascend, and no number is above its slot's: going backwards replaces none that
    // has not been moved yet.
    for (uint32_t i = batch.count; i-- > 0;) {
      const auto fd = safe::load<int32_t>(control + sizeof cmsg + i * 4);
      if (batch.slot[i] >= g_home.nslots) return -k::kEPROTO;
      const ChannelKeys& keys = batch.keys[i];
      if (keys.cipher != usable && keys.cipher != kChannelPlain) {
        if (!safe::can_seal(keys.cipher)) return -k::kENOTSUP;
        usable = keys.cipher;
      }
      const long r = move_to(fd, g_home.fd_base + 1 + static_cast<int32_t>(batch.slot[i]));
      if (r < 0) return r;
      HomeThread* t = thread_at(batch.slot[i]);
      safe::attach(t->channel, seal_of(t), static_cast<int32_t>(r), keys);
    }
    safe::wipe(batch.keys, sizeof batch.keys);
    if (batch.last) return 0;
  }
}

// Occupies the numbers of slots that have no channel yet, before the program opens so many descriptors that it would
// get one of them.
long fill_row() {
  for (uint32_t i = 0; i < g_home.nslots; i++) {
    if (i < g_home.slots_ready && thread_at(i)->channel.fd >= 0) continue;
    const long number = g_home.fd_base + 1 + static_cast<long>(i);
    const long r = sys(kNr_dup3, g_home.deputy_fd, number, static_cast<long>(k::kOCloexec));
    if (r < 0) return r;
  }
  return 0;
}

// How libom/safe/syscall.S unwinds out of the window.
static_assert(kSlotSize == 0x40000 && kSlotFrame == 0x4000 && offsetof(ResumeFrame, gpr) == 0);
static_assert(kRsp == 15 && kRip == 16);

bool is_catcher(const KernelSigaction& action) {
  return action.handler == reinterpret_cast<uint64_t>(reinterpret_cast<const void*>(om_catcher));
}

long take_over() {
  long r = take_channels();
  if (r == 0 && g_home.row_is_full != 0) r = fill_row();
  if (r != 0) return r;
  for (uint32_t sig = 1; sig <= 64; sig++) {
    if (sig == k::kSIGKILL || sig == k::kSIGSTOP) continue;
    KernelSigaction action{};
    sys(kNr_rt_sigaction, sig, 0, &action, 8);
    if (is_catcher(action)) continue;
    g_home.actions[sig] = action;
    const bool core = action.handler == k::kSigDfl && (k::kCoreSignals & k::sig_bit(sig)) != 0;
    if (action.handler > k::kSigIgn || core) {
      const long installed = install(sig, action);
      if (installed != 0) return installed;
    }
  }
  return 0;
}

long give_back() {
  for (uint32_t sig = 1; sig <= 64; sig++) {
    if (sig == k::kSIGKILL || sig == k::kSIGSTOP) continue;
    const KernelSigaction& action = g_home.actions[sig];
    KernelSigaction now{};
    sys(kNr_rt_sigaction, sig, 0, &now, 8);
    if (is_catcher(now)) sys(kNr_rt_sigaction, sig, &action, 0, 8);
  }
  for (uint32_t i = 0; i < g_home.slots_ready; i++) {
    HomeThread* t = thread_at(i);
    if (t->keeps == 0) unmap_executor_area(t);
    // While a thread asks for a channel, its connection for that has the channel's number.
    if (t->channel.fd >= 0 || (t->state == kSlotUsed && t->phase == kExecFetch)) {
      sys(kNr_close, g_home.fd_base + 1 + static_cast<int32_t>(i));
    }
    safe::detach(t->channel, seal_of(t));
  }
  if (g_home.row_is_full != 0) {
    const auto first = static_cast<long>(g_home.fd_base) + 1;
    sys(kNr_close_range, first, first + static_cast<long>(g_home.nslots) - 1, 0);
  }
  return 0;
}

[[noreturn]] void resume_by_frame(HomeThread* t) {
  const auto* frame = reinterpret_cast<const ResumeFrame*>(slot_base(t) + kSlotFrame);
  k::StackT altstack{};
  altstack.sp = t->kernel.altstack[0];
  altstack.flags = static_cast<uint32_t>(t->kernel.altstack[1]);
  altstack.size = t->kernel.altstack[2];
  sys(kNr_sigaltstack, &altstack, 0);
  sys(kNr_rt_sigprocmask, k::kSigSetmask, &frame->sigmask, 0, 8);
  om_resume_user(frame);
}

// Undoes a departure that has not been decided: restores the program's dispositions and descriptors, once for all
// threads.
void undo_capture() {
  if (safe::load_acquire(&g_home.phase) != kHomeCaptured) return;
  if (safe::compare_exchange(&g_home.undone, 0u, 1u)) {
    give_back();
    int32_t* const ours[] = {&g_home.deputy_fd, &g_home.pair[0], &g_home.pair[1]};
    for (int32_t* fd : ours) {
      if (*fd >= 0) sys(kNr_close, *fd);
      *fd = -1;
    }
    safe::store_release(&g_home.undone, 2u);
  }
  while (safe::load_acquire(&g_home.undone) != 2) sys(kNr_sched_yield);
}

// Ends a transplanted call of the program when the process has not left. What the call wrote is in the program's
// memory.
[[noreturn]] void finish_captured(HomeThread* t) {
  const HomeExec& e = t->call;
  auto* frame = reinterpret_cast<ResumeFrame*>(slot_base(t) + kSlotFrame);
  if (!(e.ret_flags & kRetRestart)) {
    if (frame->pad[kFrameRewound] != 0) frame->gpr[kRip] += 2;
    frame->gpr[kRax] = static_cast<uint64_t>((e.ret_flags & kRetEintr) ? -k::kEINTR : e.result);
  }
  // Signals caught meanwhile are delivered natively once the mask is the program's again.
  uint64_t all = ~uint64_t{0};
  sys(kNr_rt_sigprocmask, k::kSigSetmask, &all, 0, 8);
  undo_capture();
  const long pid = sys(kNr_getpid), tid = sys(kNr_gettid);
  for (uint32_t i = t->noted_tail; i != t->noted_head; i++) {
    const SignalRecord& s = t->noted[i % kMaxNoted];
    if (s.flags & k::kSaResethand) {
      // Its delivery has reset the handler, which is still to be called.
      KernelSigaction action = g_home.actions[s.number];
      action.handler = s.handler;
      sys(kNr_rt_sigaction, s.number, &action, 0, 8);
    }
    sys(kNr_rt_tgsigqueueinfo, pid, tid, s.number, s.info);
  }
  t->noted_tail = t->noted_head;
  if (t->core.number != 0) sys(kNr_rt_tgsigqueueinfo, pid, tid, t->core.number, t->core.info);
  t->core.number = 0;
  t->phase = kExecIdle;
  t->state = kSlotFree;
  resume_by_frame(t);
}

}  // namespace

// Context: exec
void leave_if_home(HomeThread* t) {
  if (safe::load_acquire(&t->late) != 0) finish_late(t);
  const uint32_t phase = safe::load_acquire(&g_home.phase);
  if (phase != kHomeCaptured && phase != kHomeNative) return;
  if (!t->call.transplanted) {
    undo_capture();
    finish_late(t);
  }
  finish_captured(t);
}

// Context: exec
void finish_late(HomeThread* t) {
  HomeExec& e = t->call;
  long result = e.result;
  if (!(e.ret_flags & kRetRestart)) {
    const long fault = is_message_call(e.nr) ? apply_messages(t) : apply_return(t);
    if (fault != 0) result = fault;
  }
  unmap_executor_area(t);
  t->keeps = 0;
  auto* frame = reinterpret_cast<ResumeFrame*>(slot_base(t) + kSlotFrame);
  frame->gpr[kRax] = static_cast<uint64_t>(result);
  t->phase = kExecIdle;
  t->late = 0;
  t->state = kSlotFree;
  resume_by_frame(t);
}

}  // namespace om::stub

using namespace om;
using namespace om::stub;

// Context: exec
void om_orphan_main(void* stack) {
  HomeThread* t = thread_of(stack);
  if (t->frame_valid == kFrameExecutor) {
    const auto* frame = reinterpret_cast<const ResumeFrame*>(slot_base(t) + kSlotExecFrame);
    sys(kNr_rt_sigprocmask, k::kSigSetmask, &frame->sigmask, 0, 8);
    om_resume_registers(frame);
  }
  if (t->frame_valid != kFrameProgram) {
    for (;;) sys(kNr_exit_group, 134);
  }
  undo_capture();
  auto* frame = reinterpret_cast<ResumeFrame*>(slot_base(t) + kSlotFrame);
  if (frame->pad[kFrameAheadRip] != 0) {
    frame->gpr[kRip] = frame->pad[kFrameAheadRip];
    frame->gpr[kRsp] = frame->pad[kFrameAheadRsp];
  }
  resume_by_frame(t);
}

// Context: exec
void om_first_main() {
  const ResumeFrame& frame = g_first_aid.frame;
  sys(kNr_rt_sigprocmask, k::kSigSetmask, &frame.sigmask, 0, 8);
  om_resume_registers(&frame);
}

// Context: exec
void om_remote_main(uint64_t function, uint64_t argument, void* stack) {
  HomeThread* t = thread_of(stack);
  long result = -k::kENOSYS;
  switch (function) {
    case kRemoteDrop:
      drop_memory();
      result = 0;
      break;
    case kRemoteMirror:
      result = repeat_mirror_calls();
      break;
    case kRemoteApply: {
      const HomeThread& of = *thread_at(static_cast<uint32_t>(argument));
      result = is_message_call(of.call.nr)
                   ? apply_messages(thread_at(static_cast<uint32_t>(argument)))
                   : apply_return(thread_at(static_cast<uint32_t>(argument)));
      break;
    }
    case kRemoteTake:
      result = take_over();
      break;
    case kRemoteRestore:
      result = give_back();
      break;
    case kRemoteTouch: {
      // Let the kernel write: if the stack may not grow it answers EFAULT. What it writes is dropped afterwards.
      constexpr uint64_t kMonotonic = 1;
      result = sys(kNr_clock_gettime, kMonotonic, argument);
      break;
    }
    default:
      break;
  }
  tell_deputy(kHomeRemoteDone, t->slot, static_cast<uint64_t>(result));
  wait_for_deputy_death();
  om_orphan_main(stack);
}

// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/classify.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include <algorithm>

#include "common/base/text.h"
#include "common/proc/process.h"
#include "common/proc/status.h"
#include "deputy/base/host.h"
#include "deputy/home/leave_vdso.h"
#include "gen/syscalls_desc.h"
#include "gen/syscalls_names.h"
#include "libom/abi/rest.h"
#include "libom/abi/thread.h"

namespace om::deputy {
namespace {

// Kernel-internal results of an interrupted call (include/linux/errno.h).
constexpr int64_t kErestartsys = -512, kErestartnointr = -513, kErestartnohand = -514,
                  kErestartBlock = -516;
constexpr uint64_t kRestartSyscall = 219;
constexpr int64_t kNsPerMs = 1000000, kNsPerSecond = 1000 * kNsPerMs;

bool is_restart(int64_t rax) {
  return rax == kErestartsys || rax == kErestartnointr || rax == kErestartnohand ||
         rax == kErestartBlock;
}

void get_args(const user_regs_struct& r, uint64_t args[6]) {
  args[0] = r.rdi;
  args[1] = r.rsi;
  args[2] = r.rdx;
  args[3] = r.r10;
  args[4] = r.r8;
  args[5] = r.r9;
}

void put_regs(const user_regs_struct& r, ThreadState& s) {
  const uint64_t in_order[] = {r.r8,  r.r9,  r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi,
                               r.rsi, r.rbp, r.rbx, r.rdx, r.rax, r.rcx, r.rsp, r.rip, r.eflags};
  static_assert(sizeof in_order == sizeof s.regs);
  memcpy(s.regs, in_order, sizeof in_order);
  s.kernel.fs_base = r.fs_base;
}

std::string call_name(uint64_t nr) {
  const char* name = syscall_name(nr);
  return name != nullptr ? name : fmt::format("system call {}", nr);
}

// Whether `address` holds the time of a sleep. Not zero: nothing can be left of that.
bool is_time(const Target& target, uint64_t address) {
  timespec t{};
  if (!target.memory.read(address, std::as_writable_bytes(std::span(&t, 1)))) return false;
  return t.tv_sec >= 0 && t.tv_nsec >= 0 && t.tv_nsec < kNsPerSecond &&
         (t.tv_sec > 0 || t.tv_nsec > 0);
}

// The number of the call that a restarted call (restart_syscall) was. The kernel does not tell; four calls restart this
// way. The instruction before it names the number, except in a function for any call (syscall() of the C library).
// There we go by what the arguments can be; those that the call does not have may be anything. restart_syscall unless
// they fit exactly one call.
uint64_t original_call(const Target& target, const user_regs_struct& r) {
  unsigned char code[7];
  if (!target.memory.read(r.rip - sizeof code, std::as_writable_bytes(std::span(code))))
    return kRestartSyscall;
  if (code[0] == 0xb8 && code[5] == 0x0f && code[6] == 0x05) {
    uint32_t nr;
    memcpy(&nr, code + 1, sizeof nr);
    if (syscall_desc(nr).restart == Restart::kBlock) return nr;
  }
  constexpr uint64_t kMaxInt = 0xffffffff, kMinInt = 0xffffffff80000000, kMaxPolled = 1 << 20;
  constexpr int kMaxClock = 15;
  auto is_int = [](uint64_t value) { return value <= kMaxInt || value >= kMinInt; };
  auto in_memory = [&](uint64_t address, size_t size) {
    std::byte bytes[sizeof(timespec)];
    return target.memory.read(address, std::span(bytes, size));
  };
  auto is_rest = [&](uint64_t address) {
    return address == 0 || in_memory(address, sizeof(timespec));
  };
  const auto clock = static_cast<int32_t>(r.rdi);
  const uint64_t operation = r.rsi & ~uint64_t{FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME};
  const bool waits = operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET;
  uint64_t found = kRestartSyscall;
  int count = 0;
  auto consider = [&](bool fits, uint64_t nr) {
    if (!fits) return;
    found = nr;
    count++;
  };
  consider(is_time(target, r.rdi) && is_rest(r.rsi), SYS_nanosleep);
  consider(
      is_int(r.rdi) && clock <= kMaxClock && r.rsi == 0 && is_time(target, r.rdx) && is_rest(r.r10),
      SYS_clock_nanosleep);
  consider(r.rsi < kMaxPolled && r.rdx != 0 && is_int(r.rdx) &&
               (r.rsi == 0 || in_memory(r.rdi, sizeof(pollfd))),
           SYS_poll);
  consider(waits && r.rdi % sizeof(uint32_t) == 0 && in_memory(r.rdi, sizeof(uint32_t)) &&
               is_time(target, r.r10),
           SYS_futex);
  return count == 1 ? found : kRestartSyscall;
}

// Whether transfers on the descriptor block or, if the kernel copies, stop between two pieces.
bool is_cut_by_stops(pid_t pid, uint64_t fd, bool copied) {
  const auto path = fmt::format("/proc/{}/fd/{}", proc::memory_tid(pid), static_cast<int>(fd));
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return false;
  if (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode)) return true;
  if (S_ISREG(info.st_mode)) return copied;
  auto link = read_link(path);
  return link && (link->starts_with("/dev/pts/") || link->starts_with("/dev/tty"));
}

// Bytes in an iovec array of the program.
uint64_t vector_bytes(const Target& target, uint64_t address, uint64_t count) {
  constexpr uint64_t kMaxVector = 1024;
  struct {
    uint64_t base, len;
  } v{};
  uint64_t total = 0;
  for (uint64_t i = 0; i < count && count <= kMaxVector; i++) {
    if (!target.memory.read(address + i * sizeof v, std::as_writable_bytes(std::span(&v, 1))))
      return 0;
    total += v.len;
  }
  return total;
}

// Bytes asked of a transfer that comes back short only when it is interrupted; 0 for other calls.
uint64_t wanted_bytes(const Target& target, uint64_t nr, const uint64_t args[6]) {
  const Transfer x = transfer_of(nr, args);
  switch (x.shape) {
    case Shape::kBuffer:
    case Shape::kCount:
      return args[x.count];
    case Shape::kVector:
      return vector_bytes(target, args[1], args[2]);
    case Shape::kMessage: {
      uint64_t h[kMsgWords];
      if (!target.memory.read(args[1], std::as_writable_bytes(std::span(h)))) return 0;
      return vector_bytes(target, h[kMsgVector], h[kMsgVectors]);
    }
    case Shape::kMessages:
    case Shape::kNone:
      break;
  }
  return 0;
}

// Whether an array of messages, `done` of which have been served, has been cut short.
bool cut_messages(const Target& target, uint64_t nr, const uint64_t args[6], uint64_t done) {
  timespec left{1, 0};
  // Its own timeout ends it after a message.
  const WaitDesc& w = wait_desc(nr);
  const uint64_t timeout = w.between != 0 ? args[w.between] : 0;
  if (timeout != 0 && (!target.memory.read(timeout, std::as_writable_bytes(std::span(&left, 1))) ||
                       (left.tv_sec == 0 && left.tv_nsec == 0)))
    return false;
  if (done < args[2]) return true;
  if (!transfers_parts(w, args[3])) return false;
  uint64_t h[rest::kHeaderWords];
  const uint64_t last = args[1] + (done - 1) * rest::kHeaderBytes;
  if (!target.memory.read(last, std::as_writable_bytes(std::span(h)))) return false;
  return (h[rest::kHeaderWords - 1] & 0xffffffff) <
         vector_bytes(target, h[kMsgVector], h[kMsgVectors]);
}

// Whether our stop has cut a transfer short: the result is less than was asked for, on something that blocks.
bool cut_transfer(const Target& target, const user_regs_struct& r) {
  const auto done = static_cast<int64_t>(r.rax);
  uint64_t args[6];
  get_args(r, args);
  if (done <= 0) return false;
  const Transfer x = transfer_of(r.orig_rax, args);
  const bool cut = x.shape == Shape::kMessages
                       ? cut_messages(target, r.orig_rax, args, r.rax)
                       : static_cast<uint64_t>(done) < wanted_bytes(target, r.orig_rax, args);
  if (!cut) return false;
  const bool copied = x.shape == Shape::kCount;
  const uint32_t to = wait_desc(r.orig_rax).to;
  return is_cut_by_stops(target.pid, args[0], copied) ||
         (to != 0 && is_cut_by_stops(target.pid, args[to], copied));
}

// Whether a call's EINTR may come from our stop and not from the call itself.
bool may_wait(const SyscallDesc& desc) {
  return desc.restart == Restart::kEintr || (desc.effects & kEffBlock) != 0;
}

void rewind(user_regs_struct& r, uint64_t nr) {
  r.rip -= 2;
  r.rax = nr;
}

// Whether a call can go on at home while the body waits for its answer.
bool may_stay_blocked(const SyscallDesc& desc, const uint64_t args[6]) {
  if (desc.route != Route::kFwd && desc.route != Route::kSplit) return false;
  if (desc.sub == 0) return true;
  const CommandDesc* command = find_command(desc, args);
  return (command != nullptr ? command->route : unlisted_route(desc.sub)) == Route::kFwd;
}

// Lets the thread's call `nr` go on at home; what the kernel has made of it says how.
void stay_blocked(const Target& target, const StoppedThread& t, uint64_t nr, const uint64_t args[6],
                  ThreadPlan& plan) {
  ThreadState& s = plan.state;
  const auto rax = static_cast<int64_t>(t.regs.rax);
  s.kind = kThreadWaiting;
  s.nr = static_cast<uint32_t>(nr);
  memcpy(s.args, args, sizeof s.args);
  s.seq = 1;
  plan.started_ns = now_ns(CLOCK_MONOTONIC) - static_cast<uint64_t>(t.blocked_ms * kNsPerMs);
  if (is_restart(rax)) {
    plan.at_home = AtHome::kRestart;
    rewind(plan.resume, nr);
  } else if (rax == -EINTR) {
    plan.at_home = AtHome::kReissue;
    plan.deadline_ns = call_deadline(target, nr, args, t.blocked_ms);
    rewind(plan.resume, nr);
  } else {
    plan.at_home = AtHome::kContinue;
  }
}

}  // namespace

Step settle_position(StoppedProcess& process, const Target& target) {
  for (auto& t : process.threads()) {
    // Every thread left it when it was stopped; one that is there now has been resumed once more since.
    if (is_in_vdso(target, t.regs.rip))
      return refuse(ReasonCode::kUninterruptible, "thread {} does not leave the vDSO", t.tid);
    if (!t.in_call() && t.kernel.rseq_address != 0) {
      struct {
        uint32_t version, flags;
        uint64_t start_ip, post_commit_offset, abort_ip;
      } cs{};
      constexpr uint64_t kRseqCsOffset = 8;
      auto pointer = target.memory.get<uint64_t>(t.kernel.rseq_address + kRseqCsOffset);
      if (pointer && *pointer != 0 &&
          target.memory.read(*pointer, std::as_writable_bytes(std::span(&cs, 1))) &&
          t.regs.rip - cs.start_ip < cs.post_commit_offset) {
        t.regs.rip = cs.abort_ip;
        t.changed = true;
      }
    }
  }
  return Done{};
}

uint64_t call_deadline(const Target& target, uint64_t nr, const uint64_t args[6],
                       double blocked_ms) {
  int64_t timeout_ns = -1;
  auto from_timespec = [&](uint64_t address) {
    timespec ts{};
    if (address == 0 || !target.memory.read(address, std::as_writable_bytes(std::span(&ts, 1))))
      return;
    if (ts.tv_sec < 0 || ts.tv_sec > 1000000000 || ts.tv_nsec < 0) return;
    timeout_ns = ts.tv_sec * int64_t{1000000000} + ts.tv_nsec;
  };
  const TimeoutAt at = timeout_of(nr);
  if (at.kind == Timeout::kMillis && static_cast<int32_t>(args[at.arg]) > 0)
    timeout_ns = static_cast<int32_t>(args[at.arg]) * kNsPerMs;
  if (at.kind == Timeout::kTimespec) from_timespec(args[at.arg]);
  if (timeout_ns < 0) return 0;
  const auto waited = static_cast<int64_t>(blocked_ms * kNsPerMs);
  return static_cast<uint64_t>(
      std::max<int64_t>(static_cast<int64_t>(now_ns(CLOCK_MONOTONIC)) + timeout_ns - waited, 1));
}

Cut cut_of(const Target& target, const user_regs_struct& regs) {
  const auto rax = static_cast<int64_t>(regs.rax);
  if (rax == -EINTR) {
    return may_wait(syscall_desc(regs.orig_rax)) ? Cut::kInterrupted : Cut::kNot;
  }
  return cut_transfer(target, regs) ? Cut::kShort : Cut::kNot;
}

Verdict<ThreadPlan> classify(const Target& target, const StoppedThread& t) {
  ThreadPlan plan;
  ThreadState& s = plan.state;
  user_regs_struct r = t.regs;
  s.tid = t.inner_tid;
  s.kind = kThreadUser;
  s.kernel = t.kernel;
  // Goes on in the body, and natively if it stays, with the registers that `r` has by then.
  auto goes_on = [&]() -> ThreadPlan {
    plan.resume = r;
    plan.resume.orig_rax = ~0ull;
    put_regs(r, s);
    return plan;
  };
  plan.resume = r;
  plan.resume.orig_rax = ~0ull;
  const auto rax = static_cast<int64_t>(r.rax);
  if (!t.in_call() || (!is_restart(rax) && rax != -EINTR && !cut_transfer(target, r)))
    return goes_on();

  if (t.ahead && t.only_ahead) {
    // The program itself does what is left of the call, wherever it is.
    r = *t.ahead;
    return goes_on();
  }
  uint64_t nr = r.orig_rax;
  if (nr == kRestartSyscall) nr = original_call(target, r);
  const SyscallDesc& desc = syscall_desc(nr);
  uint64_t args[6];
  get_args(r, args);
  if (rax == -EINTR && !may_wait(desc)) return goes_on();  // the call's own answer
  // Blocked on memory that belongs to the body from now on.
  const WaitDesc& w = wait_desc(desc);
  if (w.wakes_by_memory) {
    if (is_restart(rax)) {
      if (holds(w.lost_if, args) && args[w.lost_arg] != 0) {
        r.rax = 0;
      } else {
        rewind(r, nr);
      }
    }
    return goes_on();
  }
  if (rax == kErestartnointr) {
    // The kernel repeats it in any case, and it has done nothing yet.
    rewind(r, nr);
    return goes_on();
  }
  // No answer has room for that much: the gate receives it in pieces, unless it has begun here.
  if (w.socket == SocketSide::kReceives && wanted_bytes(target, nr, args) > kMaxAnswer) {
    if (!is_restart(rax) && rax != -EINTR)
      return refuse(ReasonCode::kInCall, "thread {} has received a part of what it waits for",
                    t.tid);
    rewind(r, nr);
    return goes_on();
  }
  if (!may_stay_blocked(desc, args))
    return refuse(ReasonCode::kInCall, "thread {} is inside {}, which has to end at home", t.tid,
                  call_name(nr));
  stay_blocked(target, t, nr, args, plan);
  put_regs(r, s);
  return plan;
}

}  // namespace om::deputy

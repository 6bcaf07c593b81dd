// SPDX-License-Identifier: Apache-2.0
//
// Calls answered from cached values, calls that the body's kernel answers by itself, and calls whose route
// depends on their arguments.
#include "libom/abi/kernel.h"
#include "libom/gate/forward.h"
#include "libom/gate/functions.h"
#include "libom/gate/gate.h"
#include "libom/gate/user_memory.h"
#include "libom/gate/vm.h"
#include "libom/safe/atomic.h"
#include "libom/safe/call_layout.h"
#include "libom/safe/numbers.h"
#include "libom/safe/row.h"
#include "libom/safe/syscall.h"

namespace om::gate {
namespace {

using safe::sys;

// Waits until the body's threads reflect what home said at `change`. If the keeper does not do its work the wait is
// short, and after a stop the thread resumes where they do anyway.
void wait_for_cpus(uint32_t change) {
  constexpr int64_t kFirst = 50000, kLongest = 4000000, kAltogether = 2000000000;
  int64_t pause = kFirst;
  for (int64_t waited = 0; waited < kAltogether; waited += pause) {
    const uint32_t seen = safe::load_acquire(&g_body.cpu_changes);
    if (static_cast<int32_t>(seen - change) >= 0 || safe::load_acquire(&g_body.stop) != 0) return;
    if (waited > 0 && pause < kLongest) pause *= 2;
    const k::Timespec ts{0, pause};
    sys(kNr_nanosleep, &ts, 0);
  }
}

bool is_own_thread(int32_t tid) {
  if (tid == g_body.home_pid) return true;
  for (uint32_t i = 0; i < g_body.slots_ready; i++) {
    const BodyThread* t = thread_at(i);
    if (t->busy && t->home_tid == tid) return true;
  }
  return false;
}

}  // namespace

// Context: gate
long gate_ids(GateCall& c) {
  switch (c.nr) {
    case kNr_getpid:
      return g_body.home_pid;
    case kNr_gettid:
      return c.thread->home_tid;
    case kNr_getuid:
      return g_body.ids[0];
    case kNr_geteuid:
      return g_body.ids[1];
    case kNr_getgid:
      return g_body.ids[4];
    case kNr_getegid:
      return g_body.ids[5];
    default:
      return forward(c);
  }
}

// Context: gate
long gate_uname(GateCall& c) { return write_program(c.args[0], g_body.uts) ? 0 : -k::kEFAULT; }

// For calls that the body's kernel answers and that concern only memory, scheduling or randomness.
// Context: gate
long gate_native(GateCall& c) {
  for (uint32_t i = 0; i < c.desc->nargs; i++) {
    const ArgDesc& a = c.desc->args[i];
    if (a.kind == ArgKind::kBuf) make_present(c.args[i], safe::cap_bytes(a, c.args, 0));
  }
  return sys(c.nr, c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5]);
}

// Registrations belong to the address space, and home's is the one that lasts; the body has registered all of its
// own. The gate asks home once whether a command is granted. A barrier for all processes matters to those that share
// memory with this one: here that is this process alone.
// Context: gate
long gate_membarrier(GateCall& c) {
  constexpr uint32_t kHere =
      k::kBarrierGlobal | k::kBarrierPrivate | k::kBarrierSyncCore | k::kBarrierRseq;
  const auto command = static_cast<uint32_t>(c.args[0]);
  if ((command & kHere) == 0 || (command & (command - 1)) != 0) return forward(c);
  if ((safe::load_acquire(&g_body.membarriers) & command) == 0) {
    const long r = forward(c);
    if (r != 0) return r;
    uint32_t known = safe::load_acquire(&g_body.membarriers);
    while (!safe::compare_exchange(&g_body.membarriers, known, known | command))
      known = safe::load_acquire(&g_body.membarriers);
  }
  const uint32_t here = command == k::kBarrierGlobal ? k::kBarrierPrivate : command;
  return sys(kNr_membarrier, here, c.args[1], c.args[2]);
}

// Context: gate
long gate_pselect6(GateCall& c) {
  // The mask lies behind a second pointer: it travels by value (home_pselect6 restores the pointer).
  k::Iovec by_value{0, 0};
  if (c.args[5] != 0) {
    k::Iovec given;
    if (!read_program(given, c.args[5])) return -k::kEFAULT;
    if (given.base != 0) {
      if (given.len != 8) return -k::kEINVAL;
      if (!read_program(by_value.base, given.base)) return -k::kEFAULT;
      by_value.len = 8;
    }
    c.args[5] = reinterpret_cast<uint64_t>(&by_value);
  }
  return forward(c);
}

// The header states the version of the data: the first version has only half of it.
// Context: gate
long gate_caps(GateCall& c) {
  constexpr uint32_t kVersion2 = 0x20071026, kVersion3 = 0x20080522;
  uint32_t version = 0;
  const bool known = read_program(version, c.args[0]);
  return known && (version == kVersion2 || version == kVersion3) ? forward(c) : come_home(c);
}

// The structure begins with its size. If that is larger than the kernel knows, the kernel's answer overwrites it.
// Context: gate
long gate_sched_setattr(GateCall& c) {
  constexpr uint32_t kFirst = 48, kKnown = 56;
  uint32_t size = 0;
  const bool known = read_program(size, c.args[1]);
  return known && size >= kFirst && size <= kKnown ? forward(c) : come_home(c);
}

// Home's kernel decides. The filter does not allow the call here, because it could claim CPUs that this node has not
// given: the keeper makes it, when home tells it to.
// Context: gate
long gate_sched_setaffinity(GateCall& c) {
  uint64_t change = 0;
  c.raw_out = &change;
  c.raw_bytes = sizeof change;
  const long r = forward(c);
  c.raw_out = nullptr;
  if (r == 0 && change != 0 && g_body.pins != 0) wait_for_cpus(static_cast<uint32_t>(change));
  return r;
}

// Only reading has a buffer; the other commands ignore the pointer.
// Context: gate
long gate_syslog(GateCall& c) {
  constexpr uint64_t kRead = 2, kReadClear = 4;
  if (c.args[0] < kRead || c.args[0] > kReadClear) c.args[1] = 0;
  return forward(c);
}

// Notification by a thread: the event points to what the C library passes to it.
// Context: gate
long gate_mq_notify(GateCall& c) {
  constexpr int32_t kSigevThread = 2;
  int32_t how = 0;
  if (c.args[1] != 0 && !read_program(how, c.args[1] + 12)) return come_home(c);
  return how == kSigevThread ? come_home(c) : forward(c);
}

// Both threads are at home, like every other process. One command has a pointer.
// Context: gate
long gate_kcmp(GateCall& c) {
  constexpr uint64_t kEpollTarget = 7;
  return c.args[2] == kEpollTarget ? come_home(c) : forward(c);
}

// The body has the memory limits that the process had when it left: to change them the process comes home. Its stack
// can get more room here; home decides if it gets less. Home's kernel enforces the limit on CPU time and has to see all
// of it.
// Context: gate
long gate_rlimit(GateCall& c) {
  constexpr uint64_t kAtHome = 1 << 0 | 1 << 2 | 1 << 8 | 1 << 9;  // CPU DATA MEMLOCK AS
  constexpr uint32_t kStack = 3;
  const bool p = c.nr == kNr_prlimit64;
  const auto pid = static_cast<int32_t>(p ? c.args[0] : 0);
  const auto resource = static_cast<uint32_t>(c.args[p ? 1 : 0]);
  const bool sets = c.args[p ? 2 : 1] != 0 && c.nr != kNr_getrlimit;
  const bool own = pid == 0 || is_own_thread(pid);
  if (sets && resource < 64 && (kAtHome >> resource & 1) && own) return come_home(c);
  if (!sets || resource != kStack || !own) return forward(c);
  uint64_t soft;
  if (!read_program(soft, c.args[p ? 2 : 1])) return -k::kEFAULT;
  if (p) c.args[0] = 0;
  const long r = forward(c);
  if (r == 0 && !c.restart) grow_stack_room(c.thread, soft);
  return r;
}

// Home raises a signal that would dump core, because the memory is then complete there.
// Context: gate
long gate_kill(GateCall& c) {
  const bool tg = c.nr == kNr_tgkill || c.nr == kNr_rt_tgsigqueueinfo;
  const auto target = static_cast<int32_t>(c.args[tg ? 1 : 0]);
  const auto sig = static_cast<uint32_t>(c.args[tg ? 2 : 1]);
  if (sig >= 1 && sig <= 64 && (k::kCoreSignals & k::sig_bit(sig)) &&
      !(g_body.caught & k::sig_bit(sig)) && is_own_thread(target)) {
    return come_home(c);
  }
  return forward(c);
}

// Maintains the set of caught signals that gate_kill consults.
// Context: gate
long gate_rt_sigaction(GateCall& c) {
  KernelSigaction action{};
  const auto sig = static_cast<uint32_t>(c.args[0]);
  if (c.args[1] != 0 && !read_program(action, c.args[1])) return -k::kEFAULT;
  const long r = forward(c);
  if (r == 0 && !c.restart && c.args[1] != 0 && sig >= 1 && sig <= 64) {
    if (action.handler > k::kSigIgn) {
      __atomic_or_fetch(&g_body.caught, k::sig_bit(sig), __ATOMIC_RELAXED);
    } else {
      __atomic_and_fetch(&g_body.caught, ~k::sig_bit(sig), __ATOMIC_RELAXED);
    }
  }
  return r;
}

// Context: gate
long forward_row(GateCall& c) {
  SyscallDesc storage;
  const safe::Row row = safe::resolve_row(*c.desc, c.args, storage);
  switch (row.route) {
    case Route::kFwd:
    case Route::kSplit:
      return row.desc == c.desc ? forward(c) : forward_as(c, c.nr, *row.desc);
    case Route::kDeny:
      return -static_cast<long>(row.deny_errno);
    case Route::kHome:
    case Route::kLocal:  // a command that the gate has no code for
    case Route::kVirt:
    case Route::kUnknown:
      break;
  }
  return come_home(c);
}

// Context: gate
long gate_prctl(GateCall& c) {
  constexpr uint32_t kSetName = 15, kGetTidAddress = 40;
  switch (static_cast<uint32_t>(c.args[0])) {
    case kSetName: {
      // Like the kernel: reads at most 16 bytes and cuts a name without a NUL among them.
      char name[16] = {};
      if (!read_program(name[0], c.args[1])) return -k::kEFAULT;
      for (uint64_t i = 0; i < 15; i++) {
        if (!read_program(name[i], c.args[1] + i) || name[i] == 0) break;
      }
      name[15] = 0;
      c.args[1] = reinterpret_cast<uint64_t>(name);
      c.hold = 1;  // the name is on this stack: the thread does not move while it waits
      return forward_row(c);
    }
    case kGetTidAddress:
      return write_program(c.args[1], c.thread->kernel.ctid) ? 0 : -k::kEFAULT;
    default:
      return forward_row(c);
  }
}

}  // namespace om::gate

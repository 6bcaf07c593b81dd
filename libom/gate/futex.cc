// SPDX-License-Identifier: Apache-2.0
//
// All futexes are local: their key is (memory, address), and memory that another process maps does not move.
// A wait never moves to another node; it is cancelled, and repeated there (no or absolute timeout), or
// it returns 0, a wake-up that futex(2) tells every caller to expect (relative timeout).
//
// Priority inheritance needs words that hold kernel tids of the node where it runs: those calls go home.
#include "libom/abi/kernel.h"
#include "libom/abi/sandbox.h"
#include "libom/gate/forward.h"
#include "libom/gate/functions.h"
#include "libom/gate/gate.h"
#include "libom/gate/user_memory.h"
#include "libom/gate/vdso.h"
#include "libom/safe/atomic.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"

namespace om::gate {
namespace {

using safe::kAborted;
using safe::sys;

constexpr int64_t kNsPerSec = 1000000000;

int64_t to_ns(const k::Timespec& ts) {
  if (ts.sec > INT64_MAX / kNsPerSec - 1) return INT64_MAX;
  return ts.sec * kNsPerSec + ts.nsec;
}

k::Timespec from_ns(int64_t ns) {
  if (ns < 0) ns = 0;
  return {ns / kNsPerSec, ns % kNsPerSec};
}

int64_t local_now() {
  k::Timespec ts{};
  sys(kNr_clock_gettime, k::kClockMonotonic, &ts);
  return to_ns(ts);
}

long wait(GateCall& c) {
  BodyThread* t = c.thread;
  const auto op = static_cast<uint32_t>(c.args[1]);
  const bool absolute = (op & 127) != k::kFutexWait;
  const bool realtime = (op & k::kFutexClockRealtime) != 0;
  k::Timespec timeout{};
  const bool timed = c.args[3] != 0;
  if (timed) {
    if (!read_program(timeout, c.args[3])) return -k::kEFAULT;
    if (timeout.sec < 0 || timeout.nsec < 0 || timeout.nsec >= kNsPerSec) return -k::kEINVAL;
  }
  const int64_t start = timed && !absolute ? local_now() : 0;
  const int64_t home_ns = to_ns(timeout);
  for (;;) {
    if (timed && absolute) {
      // The program's deadline is in home's time.
      timeout = from_ns(home_ns == INT64_MAX ? home_ns : home_ns - home_offset_ns(realtime));
    } else if (timed) {
      timeout = from_ns(home_ns == INT64_MAX ? home_ns : home_ns - (local_now() - start));
    }
    const uint64_t args[6] = {c.args[0], c.args[1],
                              c.args[2], timed ? reinterpret_cast<uint64_t>(&timeout) : 0,
                              c.args[4], c.args[5]};
    const long r = om_window(&t->kick, kNr_futex, args);
    if (r != kAborted && !(r == -k::kEINTR && t->kick)) {
      if (r != -k::kEINTR) return r;
      continue;  // a stop of the whole body by the keeper
    }
    if (safe::load_acquire(&g_body.stop) != 0) return timed && !absolute ? 0 : kPark;
    t->kick = 0;
    const uint64_t none[6] = {};
    call_home(c, kNrSignalPoll, none, true);
    if (c.signal_count == 0) continue;
    c.restart = !timed && (c.signals[0].flags & k::kSaRestart) != 0;
    return -k::kEINTR;
  }
}

}  // namespace

// Context: gate
long gate_futex(GateCall& c) {
  make_present(c.args[0], sizeof(uint32_t));
  switch (static_cast<uint32_t>(c.args[1]) & ~kFutexFlags) {
    case k::kFutexWait:
    case k::kFutexWaitBitset:
      if (c.thread->kick) return kPark;
      return wait(c);
    case k::kFutexRequeue:
    case k::kFutexCmpRequeue:
    case k::kFutexWakeOp:
      make_present(c.args[4], sizeof(uint32_t));
      [[fallthrough]];
    case k::kFutexWake:
    case k::kFutexWakeBitset:
      return sys(kNr_futex, c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5]);
    case k::kFutexLockPi:
    case k::kFutexUnlockPi:
    case k::kFutexTrylockPi:
    case k::kFutexWaitRequeuePi:
    case k::kFutexCmpRequeuePi:
    case k::kFutexLockPi2:
      return come_home(c);
    default:
      return -k::kENOSYS;
  }
}

// Does what the kernel does with a robust list when a thread ends (kernel/futex/core.c exit_robust_list), for
// words that hold home's tid: the body's kernel would not recognise them.
// Context: gate
void walk_robust_list(BodyThread* t) {
  struct Head {
    uint64_t next;
    int64_t offset;
    uint64_t pending;
  } head;
  if (t->kernel.robust_head == 0) return;
  if (!read_program(head, t->kernel.robust_head)) return;
  const auto tid = static_cast<uint32_t>(t->home_tid);
  auto handle = [&](uint64_t entry) {
    const uint64_t word = (entry & ~uint64_t{1}) + static_cast<uint64_t>(head.offset);
    uint32_t value;
    if ((word & 3) != 0 || !read_program(value, word)) return;
    while ((value & k::kFutexTidMask) == tid) {
      const uint32_t waiters = value & k::kFutexWaiters;
      const long done = exchange_program(word, value, waiters | k::kFutexOwnerDied);
      if (done < 0) return;
      if (done == 0) continue;
      if (waiters != 0) sys(kNr_futex, word, k::kFutexWake, 1);
      return;
    }
  };
  uint64_t entry = head.next;
  for (int i = 0; i < 2048 && (entry & ~uint64_t{1}) != t->kernel.robust_head; i++) {
    uint64_t next;
    if (!read_program(next, entry & ~uint64_t{1})) return;
    if (entry != head.pending) handle(entry);
    entry = next;
  }
  if (head.pending != 0) handle(head.pending);
}

}  // namespace om::gate

// SPDX-License-Identifier: Apache-2.0
//
// clock, clock_gettime, getrusage and times as the program calls them: the kernel's answer plus the CPU time
// that the process has used away (abi/away_cpu.h). Clocks that count no CPU time are answered as they would be without
// libom (next_clock.cc); everything else comes from the kernel.
//
// This is program code: it runs on the program's stack, is stopped and moved like the program, and its system
// calls are the program's own (away, the gate serves them). So it must call nothing in libom outside its own
// section, om_exports, whose bounds the deputy knows; and its only state is in registers and on its stack.
#include <stdint.h>

#include "libom/abi/away_cpu.h"
#include "libom/abi/kernel.h"
#include "libom/shim/shim.h"

#define OM_EXPORT __attribute__((section("om_exports"), noinline, used, visibility("default")))
#define OM_INLINE __attribute__((always_inline)) inline

extern "C" {
__attribute__((weak)) int* __errno_location(void);
}

namespace om::shim {

AwayCpu g_away_cpu{};

namespace {

constexpr int64_t kNsPerSec = 1000000000, kTickNs = 10000000;  // USER_HZ is 100 on x86-64
constexpr int kProcessCpu = 2, kThreadCpu = 3;
constexpr long kNrTimes = 100, kNrGetrusage = 98, kNrGettid = 186, kNrGetpid = 39,
               kNrClockGettime = 228;

OM_INLINE long call(long nr, uint64_t a, uint64_t b) {
  long r;
  asm volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
  return r;
}

OM_INLINE long finish(long r) {
  if (r >= 0 || r < -4095) return r;
  if (__errno_location != nullptr) *__errno_location() = static_cast<int>(-r);
  return -1;
}

OM_INLINE uint64_t total() { return *static_cast<volatile uint64_t*>(&g_away_cpu.total_ns); }

OM_INLINE int64_t thread_ns(int tid) {
  const volatile AwayCpu& away = g_away_cpu;
  for (uint32_t i = 0; i < away.count && i < kMaxAwayThreads; i++) {
    if (away.thread[i].tid == tid) return static_cast<int64_t>(away.thread[i].ns);
  }
  return 0;
}

// What to add to `clock` for the time used away; 0 for clocks of other processes and wall clocks.
OM_INLINE int64_t away_part(int clock) {
  if (total() == 0) return 0;
  if (clock == kProcessCpu) return static_cast<int64_t>(total());
  if (clock == kThreadCpu) return thread_ns(static_cast<int>(call(kNrGettid, 0, 0)));
  if (clock >= 0 || (clock & 3) == 3) return 0;
  // MAKE_PROCESS_CPUCLOCK, MAKE_THREAD_CPUCLOCK of the kernel: ~id in the upper bits, bit 2 for a thread.
  const int id = ~(clock >> 3);
  if (clock & 4) return thread_ns(id != 0 ? id : static_cast<int>(call(kNrGettid, 0, 0)));
  return id == 0 || id == static_cast<int>(call(kNrGetpid, 0, 0)) ? static_cast<int64_t>(total())
                                                                  : 0;
}

OM_INLINE bool is_cpu_clock(int clock) {
  return clock == kProcessCpu || clock == kThreadCpu || (clock < 0 && (clock & 3) != 3);
}

// The process may move between the kernel's answer and the addition: then it asks again.
OM_INLINE long cpu_time(int clock, k::Timespec* ts) {
  for (;;) {
    const uint64_t before = total();
    const long r = call(kNrClockGettime, static_cast<uint64_t>(static_cast<int64_t>(clock)),
                        reinterpret_cast<uint64_t>(ts));
    const int64_t away = away_part(clock);
    if (total() != before) continue;
    if (r != 0 || away == 0) return r;
    const int64_t ns = ts->nsec + away % kNsPerSec;
    ts->sec += away / kNsPerSec + (ns >= kNsPerSec ? 1 : 0);
    ts->nsec = ns >= kNsPerSec ? ns - kNsPerSec : ns;
    return 0;
  }
}

}  // namespace
}  // namespace om::shim

using namespace om;
using namespace om::shim;

extern "C" {

// Context: program
OM_EXPORT int clock_gettime(int clock, k::Timespec* ts) {
  if (is_cpu_clock(clock)) return static_cast<int>(finish(cpu_time(clock, ts)));
  if (g_next_clock_gettime != nullptr) return g_next_clock_gettime(clock, ts);
  if (g_vdso_clock_gettime != nullptr)
    return static_cast<int>(finish(g_vdso_clock_gettime(clock, ts)));
  return static_cast<int>(
      finish(call(kNrClockGettime, static_cast<uint64_t>(clock), reinterpret_cast<uint64_t>(ts))));
}

// Context: program
OM_EXPORT long clock(void) {
  k::Timespec ts;
  const long r = cpu_time(kProcessCpu, &ts);
  if (r != 0) return finish(r);
  return ts.sec * 1000000 + ts.nsec / 1000;
}

// Context: program
OM_EXPORT int getrusage(int who, int64_t* usage) {
  constexpr int kSelf = 0, kThread = 1;
  for (;;) {
    const uint64_t before = total();
    const long r = call(kNrGetrusage, static_cast<uint64_t>(static_cast<int64_t>(who)),
                        reinterpret_cast<uint64_t>(usage));
    const int64_t away = who == kSelf     ? away_part(kProcessCpu)
                         : who == kThread ? away_part(kThreadCpu)
                                          : 0;
    if (total() != before) continue;
    if (r == 0 && away != 0) {
      const int64_t us = usage[1] + away % kNsPerSec / 1000;
      usage[0] += away / kNsPerSec + us / 1000000;
      usage[1] = us % 1000000;
    }
    return static_cast<int>(finish(r));
  }
}

// Context: program
OM_EXPORT long times(int64_t* ticks) {
  for (;;) {
    const uint64_t before = total();
    const long r = call(kNrTimes, reinterpret_cast<uint64_t>(ticks), 0);
    if (total() != before) continue;
    // Like glibc: only a bad pointer is an error, other values near -1 are the clock's.
    if (r == -k::kEFAULT && ticks != nullptr) return finish(r);
    if (ticks != nullptr) ticks[0] += static_cast<int64_t>(before) / kTickNs;
    return r;
  }
}

}  // extern "C"

// SPDX-License-Identifier: Apache-2.0
//
// Clocks and sleeps that arrive as system calls. Wall clocks are local with home's offset (vdso.cc). CPU-time
// clocks add what home's twin used and what this body used. A sleep runs at home, as the executor's own
// blocking call: its remaining time then survives every move exactly, because the kernel keeps it; only
// sleeps too short for that to matter stay here.
#include "libom/gate/time.h"

#include "libom/abi/kernel.h"
#include "libom/gate/forward.h"
#include "libom/gate/functions.h"
#include "libom/gate/gate.h"
#include "libom/gate/user_memory.h"
#include "libom/gate/vdso.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"

namespace om::gate {
namespace {

using safe::sys;

constexpr int64_t kNsPerSec = 1000000000;
constexpr int64_t kShortSleepNs = 500000;

bool is_cpu_clock(int32_t clock) {
  return clock == static_cast<int32_t>(k::kClockProcessCpu) ||
         clock == static_cast<int32_t>(k::kClockThreadCpu) ||
         (clock < 0 &&
          (clock & 7) != 3);  // negative: CPU clock of a pid, or (3) a descriptor's clock
}

int64_t cpu_ns(uint32_t clock) {
  k::Timespec ts{};
  sys(kNr_clock_gettime, clock, &ts);
  return ts.sec * kNsPerSec + ts.nsec;
}

// What threads of this body have added to the CPU-time clock `clock`; 0 for clocks of other processes.
int64_t own_part(const BodyThread* t, int32_t clock) {
  if (clock == static_cast<int32_t>(k::kClockProcessCpu)) return body_cpu_ns(false);
  if (clock == static_cast<int32_t>(k::kClockThreadCpu)) return body_cpu_ns(true);
  // The kernel's encoding: ~id above bit 2, which distinguishes a thread's clock from a process's.
  const int32_t id = ~(clock >> 3);
  if (!(clock & 4)) return id == 0 || id == g_body.home_pid ? body_cpu_ns(false) : 0;
  if (id == 0 || id == t->home_tid) return body_cpu_ns(true);
  for (uint32_t i = 0; i < g_body.slots_ready; i++) {
    const BodyThread* other = thread_at(i);
    if (!other->busy || other->home_tid != id || other->body_tid <= 0) continue;
    return cpu_ns(static_cast<uint32_t>((~other->body_tid << 3) | (clock & 7)));
  }
  return 0;
}

// A sleep too short to be cut by signals or moves: they are late by at most kShortSleepNs.
long short_sleep(int64_t ns) {
  k::Timespec ts{0, ns};
  while (sys(kNr_nanosleep, &ts, &ts) == -k::kEINTR) {
  }
  return 0;
}

long sleep_for(GateCall& c, uint64_t request, bool relative) {
  k::Timespec ts;
  if (!read_program(ts, request)) return -k::kEFAULT;
  if (relative && ts.sec == 0 && ts.nsec >= 0 && ts.nsec <= kShortSleepNs) {
    if (c.thread->kick) return kPark;
    return short_sleep(ts.nsec);
  }
  return forward(c);
}

}  // namespace

// Context: gate
int64_t body_cpu_ns(bool thread) {
  return cpu_ns(thread ? k::kClockThreadCpu : k::kClockProcessCpu);
}

// Context: gate
long gate_nanosleep(GateCall& c) { return sleep_for(c, c.args[0], true); }

// Context: gate
long gate_clock_nanosleep(GateCall& c) {
  const auto clock = static_cast<int32_t>(c.args[0]);
  if (is_cpu_clock(clock))
    return come_home(c);  // the twin at home uses no CPU: the sleep would not end there
  const bool relative = (c.args[1] & k::kTimerAbstime) == 0;
  const bool wall = clock == static_cast<int32_t>(k::kClockMonotonic) ||
                    clock == static_cast<int32_t>(k::kClockRealtime);
  return sleep_for(c, c.args[2], relative && wall);
}

// Context: gate
long gate_clock_gettime(GateCall& c) {
  const auto clock = static_cast<int32_t>(c.args[0]);
  k::Timespec ts;
  if (clock >= 0 && home_time(static_cast<uint32_t>(clock), &ts) == 0)
    return write_program(c.args[1], ts) ? 0 : -k::kEFAULT;
  const long r = forward(c);
  if (r != 0 || c.restart || !is_cpu_clock(clock)) return r;
  if (!read_program(ts, c.args[1])) return -k::kEFAULT;
  int64_t ns = ts.sec * kNsPerSec + ts.nsec + own_part(c.thread, clock);
  ts = {ns / kNsPerSec, ns % kNsPerSec};
  return write_program(c.args[1], ts) ? 0 : -k::kEFAULT;
}

// Context: gate
long gate_clock_getres(GateCall& c) {
  const auto clock = static_cast<int32_t>(c.args[0]);
  if (clock < 0) return forward(c);
  make_present(c.args[1], sizeof(k::Timespec));
  return sys(kNr_clock_getres, c.args[0], c.args[1]);
}

// Context: gate
long gate_gettimeofday(GateCall& c) {
  k::Timespec ts;
  if (c.args[1] != 0 || home_time(k::kClockRealtime, &ts) != 0) return forward(c);
  const int64_t tv[2] = {ts.sec, ts.nsec / 1000};
  if (c.args[0] != 0 && !write_program(c.args[0], tv)) return -k::kEFAULT;
  return 0;
}

// Context: gate
long gate_time(GateCall& c) {
  k::Timespec ts;
  if (home_time(k::kClockRealtimeCoarse, &ts) != 0) return forward(c);
  if (c.args[0] != 0 && !write_program(c.args[0], ts.sec)) return -k::kEFAULT;
  return ts.sec;
}

// Context: gate
long gate_getrusage(GateCall& c) {
  constexpr int32_t kSelf = 0, kThread = 1;
  const auto who = static_cast<int32_t>(c.args[0]);
  const long r = forward(c);
  if (r != 0 || c.restart || (who != kSelf && who != kThread)) return r;
  int64_t mine[18], total[4];
  sys(kNr_getrusage, who, mine);
  if (!read_program(total, c.args[1])) return -k::kEFAULT;
  for (int i = 0; i < 4; i += 2) {
    total[i] += mine[i];
    total[i + 1] += mine[i + 1];
    total[i] += total[i + 1] / 1000000;
    total[i + 1] %= 1000000;
  }
  return write_program(c.args[1], total) ? 0 : -k::kEFAULT;
}

// Context: gate
long gate_times(GateCall& c) {
  constexpr int64_t kTickNs = 10000000;  // USER_HZ is 100 on x86-64
  const long r = forward(c);
  if (r < 0 || c.restart || c.args[0] == 0) return r;
  int64_t mine[18], ticks[2];
  sys(kNr_getrusage, 0, mine);
  if (!read_program(ticks, c.args[0])) return -k::kEFAULT;
  ticks[0] += (mine[0] * kNsPerSec + mine[1] * 1000) / kTickNs;
  ticks[1] += (mine[2] * kNsPerSec + mine[3] * 1000) / kTickNs;
  return write_program(c.args[0], ticks) ? r : -k::kEFAULT;
}

// CPU-time timers would count only the twin's time: the program comes home and arms them there.
// Context: gate
long gate_setitimer(GateCall& c) { return c.args[0] == 0 ? forward(c) : come_home(c); }

// Context: gate
long gate_getitimer(GateCall& c) { return c.args[0] == 0 ? forward(c) : come_home(c); }

// Context: gate
long gate_timer_create(GateCall& c) {
  return is_cpu_clock(static_cast<int32_t>(c.args[0])) ? come_home(c) : forward(c);
}

// Context: gate
long gate_restart_syscall(GateCall&) { return -k::kEINTR; }

}  // namespace om::gate

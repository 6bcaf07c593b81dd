// SPDX-License-Identifier: Apache-2.0
//
// The program's vDSO functions in a body: the keeper puts jumps to these functions at the addresses of
// home's vDSO symbols. They run as program code, on the program's stack, without entering the gate: local
// clock (from the node's own vDSO, moved into the arena) plus the offset that keeps it behind home's.
//
// Everything here lies in section om_vfn and calls nothing outside it but the local vDSO: a thread stopped
// in this code is single-stepped out of it (handlers.cc), because its registers mean nothing elsewhere.
#include "libom/gate/vdso.h"

#include "libom/abi/anchor.h"
#include "libom/abi/kernel.h"
#include "libom/gate/gate.h"
#include "libom/safe/atomic.h"
#include "libom/safe/numbers.h"

#define OM_VFN __attribute__((section("om_vfn"), noinline, used, visibility("hidden")))
#define OM_INLINE __attribute__((always_inline)) inline

namespace om::gate {
namespace {

using ClockGettime = long (*)(int clock, k::Timespec* ts);
using Gettimeofday = long (*)(void* tv, void* tz);
using Getcpu = long (*)(uint32_t* cpu, uint32_t* node, void* unused);

// Outside the gate on purpose: a request without a fast answer traps and is served like any system call.
OM_INLINE long trap(long nr, uint64_t a, uint64_t b) {
  long r;
  asm volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
  return r;
}

constexpr int64_t kNsPerSec = 1000000000;
constexpr int64_t kMaxSlewNs = 4 * kNsPerSec;

OM_INLINE void add_ns(k::Timespec& ts, int64_t ns) {
  int64_t sec = ns / kNsPerSec;
  int64_t nsec = ts.nsec + ns % kNsPerSec;
  if (nsec >= kNsPerSec) {
    nsec -= kNsPerSec;
    sec++;
  } else if (nsec < 0) {
    nsec += kNsPerSec;
    sec--;
  }
  ts.sec += sec;
  ts.nsec = nsec;
}

// Offset to home at local monotonic time `now`.
OM_INLINE int64_t slewed(int64_t base_offset, const ClockPage& c, int64_t now) {
  if (c.slew_ppb == 0) return base_offset;
  int64_t until = now < c.limit_ns ? now : c.limit_ns;
  int64_t elapsed = until - c.base_ns;
  if (elapsed < 0) elapsed = 0;
  if (elapsed > kMaxSlewNs) elapsed = kMaxSlewNs;  // also keeps the product below 2^63
  return base_offset + elapsed * c.slew_ppb / kNsPerSec;
}

OM_INLINE int64_t offset_at(bool real, const ClockPage& c, int64_t now) {
  const int64_t offset = slewed(real ? c.real_offset_ns : c.mono_offset_ns, c, now);
  const int64_t floor = real ? c.real_floor_ns : c.mono_floor_ns;
  return offset > floor ? offset : floor;
}

OM_INLINE bool read_clock_page(ClockPage& out) {
  const volatile ClockPage& p = g_body.clock;
  for (int tries = 0; tries < 100000; tries++) {
    const uint32_t before = p.sequence;
    asm volatile("" : : : "memory");
    out.mono_offset_ns = p.mono_offset_ns;
    out.real_offset_ns = p.real_offset_ns;
    out.base_ns = p.base_ns;
    out.slew_ppb = p.slew_ppb;
    out.limit_ns = p.limit_ns;
    out.mono_floor_ns = p.mono_floor_ns;
    out.real_floor_ns = p.real_floor_ns;
    asm volatile("" : : : "memory");
    if ((before & 1) == 0 && before == p.sequence) return true;
    asm volatile("pause");
  }
  return false;  // the keeper died while writing; the values differ by at most a slew
}

OM_INLINE long virtual_clock(uint32_t clock, k::Timespec* out) {
  const auto local = reinterpret_cast<ClockGettime>(g_body.local_vdso[kVdsoClockGettime]);
  const bool mono = clock == k::kClockMonotonic || clock == k::kClockMonotonicRaw ||
                    clock == k::kClockMonotonicCoarse || clock == k::kClockBoottime;
  const bool real =
      clock == k::kClockRealtime || clock == k::kClockRealtimeCoarse || clock == k::kClockTai;
  if (local == nullptr || (!mono && !real)) return -k::kENOSYS;
  ClockPage page;
  read_clock_page(page);
  k::Timespec ts;
  if (local(static_cast<int>(clock), &ts) != 0) return -k::kENOSYS;
  int64_t now = 0;
  if (page.slew_ppb != 0) {
    k::Timespec m;
    local(static_cast<int>(k::kClockMonotonic), &m);
    now = m.sec * kNsPerSec + m.nsec;
  }
  add_ns(ts, offset_at(!mono, page, now));
  *out = ts;
  return 0;
}

}  // namespace

// Context: program
OM_VFN long vdso_clock_gettime(long clock, k::Timespec* ts) {
  k::Timespec now;
  if (virtual_clock(static_cast<uint32_t>(clock), &now) != 0) {
    return trap(kNr_clock_gettime, static_cast<uint64_t>(clock), reinterpret_cast<uint64_t>(ts));
  }
  *ts = now;
  return 0;
}

// Context: program
OM_VFN long vdso_gettimeofday(int64_t* tv, int32_t* tz) {
  k::Timespec now;
  if (tz != nullptr) {
    const auto local = reinterpret_cast<Gettimeofday>(g_body.local_vdso[kVdsoGettimeofday]);
    int64_t unused[2];
    if (local != nullptr) local(unused, tz);
  }
  if (tv == nullptr) return 0;
  if (virtual_clock(k::kClockRealtime, &now) != 0) {
    return trap(kNr_gettimeofday, reinterpret_cast<uint64_t>(tv), 0);
  }
  tv[0] = now.sec;
  tv[1] = now.nsec / 1000;
  return 0;
}

// Context: program
OM_VFN long vdso_time(int64_t* out) {
  k::Timespec now;
  if (virtual_clock(k::kClockRealtimeCoarse, &now) != 0) {
    return trap(kNr_time, reinterpret_cast<uint64_t>(out), 0);
  }
  if (out != nullptr) *out = now.sec;
  return now.sec;
}

// Context: program
OM_VFN long vdso_getcpu(uint32_t* cpu, uint32_t* node, void*) {
  const auto local = reinterpret_cast<Getcpu>(g_body.local_vdso[kVdsoGetcpu]);
  if (local == nullptr)
    return trap(kNr_getcpu, reinterpret_cast<uint64_t>(cpu), reinterpret_cast<uint64_t>(node));
  const uint32_t limit = g_body.cpu_limit;
  if (limit == 0) return local(cpu, node, nullptr);
  uint32_t here = 0;
  const long r = local(&here, nullptr, nullptr);
  if (cpu != nullptr) *cpu = here % limit;
  if (node != nullptr) *node = 0;
  return r;
}

// Context: program
OM_VFN long vdso_clock_getres(long clock, k::Timespec* ts) {
  return trap(kNr_clock_getres, static_cast<uint64_t>(clock), reinterpret_cast<uint64_t>(ts));
}

// glibc falls back to the system call. Context: program
OM_VFN long vdso_other(void) { return -k::kENOSYS; }

// The same clocks for the gate, where single-stepping is no concern.
// Context: gate
long home_time(uint32_t clock, k::Timespec* out) { return virtual_clock(clock, out); }

namespace {

int64_t local_mono() {
  k::Timespec m{};
  const auto local = reinterpret_cast<ClockGettime>(g_body.local_vdso[kVdsoClockGettime]);
  if (local != nullptr) local(static_cast<int>(k::kClockMonotonic), &m);
  return m.sec * kNsPerSec + m.nsec;
}

void raise(volatile int64_t* floor, int64_t to) {
  int64_t now = safe::load_acquire(floor);
  while (now < to && !safe::compare_exchange(floor, now, to)) now = safe::load_acquire(floor);
}

}  // namespace

// Context: gate
int64_t home_offset_ns(bool realtime) {
  ClockPage page;
  read_clock_page(page);
  return offset_at(realtime, page, page.slew_ppb != 0 ? local_mono() : 0);
}

// Context: gate
void home_time_was(int64_t home_mono_ns) {
  const int64_t now = local_mono();
  if (now == 0) return;
  ClockPage page;
  read_clock_page(page);
  const int64_t behind = home_mono_ns - now - offset_at(false, page, now);
  constexpr int64_t kMaxBehind = 5 * kNsPerSec;  // more cannot be network delay
  if (behind <= 0 || behind > kMaxBehind) return;
  raise(&g_body.clock.mono_floor_ns, offset_at(false, page, now) + behind);
  raise(&g_body.clock.real_floor_ns, offset_at(true, page, now) + behind);
}

}  // namespace om::gate

// SPDX-License-Identifier: Apache-2.0
//
// Clocks of a body: see vdso.cc.
#pragma once

#include <stdint.h>

#include "libom/abi/kernel.h"

namespace om::gate {

long vdso_clock_gettime(long clock, k::Timespec* ts);
long vdso_gettimeofday(int64_t* tv, int32_t* tz);
long vdso_time(int64_t* out);
long vdso_getcpu(uint32_t* cpu, uint32_t* node, void* unused);
long vdso_clock_getres(long clock, k::Timespec* ts);
long vdso_other(void);

// Wall clocks as the program sees them; -ENOSYS for CPU and dynamic clocks.
// Context: gate
long home_time(uint32_t clock, k::Timespec* out);
// Nanoseconds to add to the local clock to get home's, now.
// Context: gate
int64_t home_offset_ns(bool realtime);
// Notes that home's CLOCK_MONOTONIC was this (ns) when it sent what has just arrived: from now on the program's
// clocks show no less. A wait that ended at home must not look too short here.
// Context: gate
void home_time_was(int64_t home_mono_ns);

}  // namespace om::gate

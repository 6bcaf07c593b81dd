// SPDX-License-Identifier: Apache-2.0
//
// What the shim's parts share. Context tags: `init` = the constructor, `program` = called by the program.
#pragma once

#include "libom/abi/away_cpu.h"
#include "libom/abi/kernel.h"

namespace om::shim {

using ClockGettime = int (*)(int clock, k::Timespec* ts);

extern AwayCpu g_away_cpu;
// The kernel's own function at home; away the keeper has put a jump to libom's at its address. nullptr: none.
extern ClockGettime g_vdso_clock_gettime;
// A definition by a library before the C library, which the program would call without libom. nullptr: none.
extern ClockGettime g_next_clock_gettime;

// Sets both. `headers`, `count`: program headers of the program; `vdso`: ELF header of the vDSO, 0 none.
// Context: init
void find_clocks(uint64_t headers, uint64_t count, uint64_t vdso);

}  // namespace om::shim

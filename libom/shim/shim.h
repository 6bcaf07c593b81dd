// SPDX-License-Identifier: Apache-2.0
//
// What the shim's parts share. Context tags: `init` = the constructor, `program` = called by the program.
#pragma once

#include "libom/abi/away_cpu.h"
#include "libom/abi/kernel.h"

namespace om::shim {

extern AwayCpu g_away_cpu;
// The kernel's own function at home; away the keeper has put a jump to libom's at its address. nullptr: none.
extern long (*g_vdso_clock_gettime)(int clock, k::Timespec* ts);

// The function `name` of the vDSO whose ELF header is at `image`; nullptr if it has none.
// Context: init
const void* find_vdso_function(uint64_t image, const char* name);

}  // namespace om::shim

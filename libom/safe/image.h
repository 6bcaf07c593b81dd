// SPDX-License-Identifier: Apache-2.0
//
// Where this library lies: symbols that the linker defines. Hidden, so that they are addressed directly and
// not exported.
#pragma once

#include <stdint.h>

#pragma GCC visibility push(hidden)
extern "C" {
extern char __ehdr_start[], _end[];
extern char __start_om_vfn[], __stop_om_vfn[];          // the clock functions, gate/vdso.cc
extern char __start_om_exports[], __stop_om_exports[];  // what programs call, shim/cpu_clocks.cc
}
#pragma GCC visibility pop

namespace om::safe {

inline uint64_t image_lo() { return reinterpret_cast<uint64_t>(__ehdr_start); }
// Page aligned.
inline uint64_t image_hi() { return (reinterpret_cast<uint64_t>(_end) + 4095) & ~uint64_t{4095}; }

}  // namespace om::safe

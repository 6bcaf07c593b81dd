// SPDX-License-Identifier: Apache-2.0
//
// Where the program's descriptors are served; dispatch asks before it serves a call. Today there is one rule: home
// serves every descriptor, because its table is the program's. Descriptors served where the program runs would be
// recorded here.
//
// Only arguments count. Descriptors in memory (poll's array, control data of messages) are left to the functions of
// those rows.
#pragma once

#include <stdint.h>

#include "libom/abi/syscall_desc.h"

namespace om::gate {

enum class Place : uint8_t {
  kHome,
};

// Where the descriptor with this number is served; home refuses numbers that are not open.
// Context: gate
Place place_of_descriptor(int32_t fd);

// Where to serve a call: where all descriptors among its arguments are served. Home for a call without any.
// Context: gate
Place place_of_call(const SyscallDesc& desc, const uint64_t args[6]);

}  // namespace om::gate

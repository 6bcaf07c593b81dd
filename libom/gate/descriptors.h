// SPDX-License-Identifier: Apache-2.0
//
// Where the program's descriptors are served; dispatch asks before a call goes anywhere. Today there is one rule:
// every descriptor is home's, whose table is the program's. Descriptors that are served where the program runs would
// be known here.
//
// Only arguments are looked at. Descriptors in memory (poll's array, control data of messages) are the business of the
// functions of these rows.
#pragma once

#include <stdint.h>

#include "libom/abi/syscall_desc.h"

namespace om::gate {

enum class Place : uint8_t {
  kHome,
};

// What is served where, by the program's number for it; numbers that are not open are home's to refuse.
// Context: gate
Place place_of_descriptor(int32_t fd);

// Where a call belongs by the descriptors that its arguments name: where all of them are. Home for one that names none.
// Context: gate
Place place_of_call(const SyscallDesc& desc, const uint64_t args[6]);

}  // namespace om::gate

// SPDX-License-Identifier: Apache-2.0
//
// Numbers that must be higher in each life of a node: its incarnation and the counter of its sealed datagrams. They
// come from the clock, and from a file with what earlier lives may have used, as a clock may have been set back.
#pragma once

#include <stdint.h>

#include "common/base/clock.h"
#include "common/base/own_directory.h"
#include "common/base/result.h"

namespace om::members {

struct StartNumbers {
  uint64_t incarnation = 0;  // seconds since 1970 or more
  uint64_t counter = 0;      // microseconds since 1970 or more; good for kCountersPerLife
};

// A thousand datagrams a second for 34 years.
constexpr uint64_t kCountersPerLife = uint64_t{1} << 40;

// Pure: the numbers of a life that begins now, given those that the last one began with.
StartNumbers next_numbers(StartNumbers last, WallTime now);

// Reads the file "gossip", decides and writes it before they are used. Errors: the file cannot be read or written (disk
// full), or is none of ours; nothing may be sent then.
Result<StartNumbers> take_start_numbers(const OwnDirectory& directory, WallTime now);

}  // namespace om::members

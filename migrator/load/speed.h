// SPDX-License-Identifier: Apache-2.0
//
// How fast this machine's CPUs are, as one number: kReferenceSpeed is the machine that kReferenceNs was measured on. It
// takes 50 ms of a thread, so it is measured once and kept with the name of the CPU.
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace om::migrator {

constexpr uint32_t kReferenceSpeed = 10000;
constexpr uint32_t kLowestSpeed = 10, kHighestSpeed = 655350;  // what nodes can tell each other

// The speed of a machine that takes so long for a turn; within the range above.
uint32_t speed_of(uint64_t turn_ns);
// The shortest CPU time of a turn of the kernel of integer and memory operations, of as many turns as fit into 50 ms of
// CPU time. Other programs and interrupts only lengthen turns. An Error without a clock of CPU time.
Result<uint64_t> measure_turn_ns();

struct SpeedRecord {
  uint32_t speed = kReferenceSpeed;
  std::string cpu;  // parse_cpu_name()
};
// The contents of the file in which it is kept. Reading fails if the text is none of ours, or from another kernel.
std::string to_text(const SpeedRecord& record);
Result<SpeedRecord> read_speed(std::string_view text);

}  // namespace om::migrator

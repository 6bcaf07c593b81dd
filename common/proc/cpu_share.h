// SPDX-License-Identifier: Apache-2.0
//
// How much of the CPUs guests get beside the programs of their host.
#pragma once

#include <stdint.h>

#include <optional>
#include <string_view>

namespace om::proc {

enum class CpuShare : uint8_t {
  kNormal,  // like any program here
  kLow,     // a tenth, where programs compete
  kIdle,    // what nobody else wants
};

// In the order of CpuShare.
inline constexpr std::string_view kCpuShareNames[] = {"normal", "low", "idle"};
std::optional<CpuShare> read_cpu_share(std::string_view word);
const char* cpu_share_name(CpuShare share);

// For the calling thread and those that it starts: nice 10, or SCHED_IDLE. Does nothing for kNormal. 0 or an errno.
// Async-signal-safe.
int take_cpu_share(CpuShare share);

}  // namespace om::proc

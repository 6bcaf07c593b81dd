// SPDX-License-Identifier: Apache-2.0
//
// What the kernel says about the load of this machine: parsers of its texts, without state. A text that is not what it
// should be is an Error with EBADMSG.
#pragma once

#include <stdint.h>

#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace om::migrator {

// From the text of /proc/meminfo. A kernel without swap says 0.
struct Memory {
  uint64_t total_bytes = 0;
  uint64_t available_bytes = 0;  // MemAvailable
  uint64_t swap_bytes = 0, swap_free_bytes = 0;
};
Result<Memory> parse_meminfo(std::string_view text);

// First number of /proc/loadavg, times 100.
Result<uint32_t> parse_loadavg(std::string_view text);

// The runnable threads of "running/total" in /proc/loadavg, of all CPUs; the reader is one of them.
Result<uint32_t> parse_running(std::string_view text);

// `some avg10` of /proc/pressure/memory: percent of the last ten seconds in which some thread waited for memory.
Result<double> parse_pressure(std::string_view text);

// The first "model name" of /proc/cpuinfo, at most kMaxCpuName bytes; empty if there is none.
constexpr size_t kMaxCpuName = 128;
std::string_view parse_cpu_name(std::string_view cpuinfo);

// Ids of the CPUs that this process, and so its children, may run on; ascending.
Result<std::vector<uint32_t>> allowed_cpus();

}  // namespace om::migrator

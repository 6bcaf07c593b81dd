// SPDX-License-Identifier: Apache-2.0
//
// How many cores the CPUs that guests may run on belong to.
#pragma once

#include <stdint.h>

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace om::migrator {

struct CpuCounts {
  uint32_t cores = 1;    // at least 1
  uint32_t threads = 1;  // at least cores

  bool operator==(const CpuCounts&) const = default;
};

// "0,4-6" -> {0, 4, 5, 6}. EBADMSG unless it ascends and is below kMostCpus.
constexpr uint32_t kMostCpus = 8192;
Result<std::vector<uint32_t>> parse_cpu_list(std::string_view text);

// `cpus`: ascending. `siblings`: the text of topology/thread_siblings_list of a CPU. If one is missing or they
// contradict each other, every CPU counts as a core.
CpuCounts count_cpus(std::span<const uint32_t> cpus,
                     const std::function<Result<std::string>(uint32_t cpu)>& siblings);
// The same from /sys.
CpuCounts read_cpu_counts(std::span<const uint32_t> cpus);

}  // namespace om::migrator

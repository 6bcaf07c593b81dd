// SPDX-License-Identifier: Apache-2.0
//
// CPU features as flag names of /proc/cpuinfo. A program picks its code by CPUID when it starts
// (string functions, lazy binding, crypto), so it can only move to a CPU that has everything home
// has, whether or not it uses it. Flags that no user instruction depends on are left out of the
// comparison: kernel and virtualisation features, speed hints, topology. A name that this build
// does not know counts.
//
// Used by the daemons: home sends its list with the offer, the target refuses with CPU_FEATURE.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace om {

// No CPU has anything like this many; a peer's list beyond it is refused unread.
constexpr size_t kMaxCpuFeatures = 1024;
constexpr size_t kMaxCpuFeatureName = 64;

// The flags line of the first processor. EBADMSG if there is none.
Result<std::vector<std::string>> parse_cpu_features(std::string_view cpuinfo);
Result<std::vector<std::string>> local_cpu_features();

// Whether user code can come to depend on the flag.
bool cpu_feature_matters(std::string_view name);

// Flags of `home` that matter and that `target` lacks, sorted.
std::vector<std::string> missing_features(const std::vector<std::string>& home,
                                          const std::vector<std::string>& target);

}  // namespace om

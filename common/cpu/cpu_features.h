// SPDX-License-Identifier: Apache-2.0
//
// CPU features as flag names of /proc/cpuinfo. A program picks its code by CPUID when it starts (string functions, lazy
// binding, crypto), so it can only move to a CPU that has every feature of home's, used or not. The comparison leaves
// out flags that no user instruction depends on: kernel and virtualisation features, speed hints, topology. Names that
// this build does not know are compared.
//
// Used by the daemons: home sends its list with the offer, the target refuses with CPU_FEATURE.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace om {

// Far more than any CPU has; a longer list from a peer is refused unread.
constexpr size_t kMaxCpuFeatures = 1024;
constexpr size_t kMaxCpuFeatureName = 64;

// The flags line of the first processor. EBADMSG if there is none.
Result<std::vector<std::string>> parse_cpu_features(std::string_view cpuinfo);
Result<std::vector<std::string>> local_cpu_features();

// Whether user code may depend on the flag.
bool cpu_feature_matters(std::string_view name);

// The flags of `home` that matter and that `target` lacks, sorted.
std::vector<std::string> missing_features(const std::vector<std::string>& home,
                                          const std::vector<std::string>& target);

}  // namespace om

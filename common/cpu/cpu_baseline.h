// SPDX-License-Identifier: Apache-2.0
//
// A common denominator for clusters of unequal CPUs: `om run --cpu BASELINE` starts a program so that libc and OpenSSL
// use nothing beyond that level, and marks it with OM_CPU; om-migrator then offers the target only the level's features
// instead of everything that home has. This does not cover what the program detects by itself with CPUID.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace om {

inline constexpr char kCpuBaselineVariable[] = "OM_CPU";

struct CpuBaseline {
  std::string_view name;              // "x86-64-v3"
  std::vector<std::string> features;  // /proc/cpuinfo flags that the program may use
  // Environment to start it with: GLIBC_TUNABLES (one tunable, to be appended to others), LD_BIND_NOW,
  // OPENSSL_ia32cap, OM_CPU.
  std::vector<std::pair<std::string, std::string>> environment;
};

// nullptr for an unknown name. "host" is not a baseline, it means no restriction.
const CpuBaseline* find_cpu_baseline(std::string_view name);

// "x86-64-v2, x86-64-v3, x86-64-v4"
std::string cpu_baseline_names();

// The `features` that belong to the baseline.
std::vector<std::string> restrict_features(const std::vector<std::string>& features,
                                           const CpuBaseline& baseline);

}  // namespace om

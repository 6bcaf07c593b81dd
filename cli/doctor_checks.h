// SPDX-License-Identifier: Apache-2.0
//
// The checks of `om doctor`: each probes one thing on this machine, harmlessly and without privileges, and says what
// follows from the result. Abilities are tried out (cli/doctor_probes.h), not inferred from flags.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace om::cli {

enum class Health { kOk, kWarn, kFail };

struct Finding {
  std::string check;
  Health health = Health::kOk;
  std::string detail;  // what was found
  std::string remedy;  // empty if ok
};

std::string_view health_name(Health health);  // "ok", "warn", "fail"

// Kernel, seccomp, ptrace, userfaultfd, PAGEMAP_SCAN, namespaces, CPU, limits, glibc.
std::vector<Finding> check_machine();

// Programs, libom.so, daemon.
std::vector<Finding> check_installation();

// Judge what was found; separate for the tests. `error`: errno of a probe.
Finding judge_kernel(std::string_view release);
Finding judge_tracing(std::string_view ptrace_scope, int error);
Finding judge_seccomp(int error);
Finding judge_glibc(std::string_view version);

}  // namespace om::cli

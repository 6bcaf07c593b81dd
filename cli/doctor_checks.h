// SPDX-License-Identifier: Apache-2.0
//
// What `om doctor` looks at: each check probes one thing of this machine, harmlessly and without privileges,
// and says what follows from it. An ability is tried out (cli/doctor_probes.h), not inferred from a flag.
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

// Parts with what was found as input, for the tests. `error`: errno of a probe.
Finding judge_kernel(std::string_view release);
Finding judge_tracing(std::string_view ptrace_scope, int error);
Finding judge_seccomp(int error);
Finding judge_glibc(std::string_view version);

}  // namespace om::cli

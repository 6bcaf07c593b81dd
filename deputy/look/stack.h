// SPDX-License-Identifier: Apache-2.0
//
// om stack: where every thread is. Away, the body stands still for as long as it takes to read its stacks, as for a
// homecoming that does not take place; at home the process is stopped by ptrace. Tables and names come from the files
// that the process has mapped at home, which is quicker than asking the keeper and the same.
#pragma once

#include <nlohmann/json.hpp>

#include "deputy/process.h"

namespace om::deputy {

// What `om stack --json` prints. The process goes on in any case.
Verdict<nlohmann::json> stack_of(Process& process);

}  // namespace om::deputy

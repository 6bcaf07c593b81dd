// SPDX-License-Identifier: Apache-2.0
//
// om stack: where every thread is. Away, the body stops for as long as it takes to read its stacks, as for a homecoming
// that does not take place; at home ptrace stops the process. Tables and names come from the files that the process has
// mapped at home: they are the same, and quicker to read than through the keeper.
#pragma once

#include <nlohmann/json.hpp>

#include "deputy/process.h"

namespace om::deputy {

// What `om stack --json` prints. The process goes on in any case.
Verdict<nlohmann::json> stack_of(Process& process);

}  // namespace om::deputy

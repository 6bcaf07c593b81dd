// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "deputy/process.h"

namespace om::deputy {

// The body never ran, or did nothing that anybody has seen: home goes on from what it still holds, with a line in the
// log that says `why`. Preconditions: the process is away. If refused, it stays away as before: INTERNAL once the body
// has acted, or what keeps the threads from stopping (is_in_the_way).
Step roll_back(Process& process, const std::string& why);

}  // namespace om::deputy

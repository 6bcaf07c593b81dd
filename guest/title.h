// SPDX-License-Identifier: Apache-2.0
//
// What `ps` shows of a body: whose it is and what runs in it. The launcher's own arguments do not last, because the
// restorer unmaps the stack that they lie on; so the text goes into the arena, and the launcher tells the kernel where
// it is.
//
// Called by Builder (launch.cc).
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/proc/process_memory.h"

namespace om::guest {

// "om-body: PID@NODE COMMAND", of bounded length. `command` comes from home: what is not printable becomes '?'.
std::string body_title(std::string_view guest, std::string_view command);

// Writes it, and what the launcher hands to prctl(), to the body's control area.
Result<void> keep_title(const ProcessMemory& body, uint64_t arena, std::string_view title);

}  // namespace om::guest

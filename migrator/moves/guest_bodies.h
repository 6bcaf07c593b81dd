// SPDX-License-Identifier: Apache-2.0
//
// The body that a keeper has started, and what runs in it.
#pragma once

#include <sys/types.h>

#include <optional>

#include "migrator/processes/process_table.h"

namespace om::migrator {

// `command` is that of the program, as home's comm. nullopt: the keeper (0: there is none yet) has none, or has ended.
std::optional<ProcessInfo> body_of(pid_t keeper);

}  // namespace om::migrator

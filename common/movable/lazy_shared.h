// SPDX-License-Identifier: Apache-2.0
//
// Files that a process maps shared and writes to for others to look at now and then, as every Java VM does with its
// monitoring file. They do not keep it at home: while it is away they are written back every second, and at each
// homecoming.
#pragma once

#include <stdint.h>

#include <string>
#include <vector>

#include "common/proc/maps.h"

namespace om {

// Of all such mappings of a process together.
constexpr uint64_t kMaxLazyBytes = 1 << 20;

// Patterns (fnmatch, * does not match /) of the paths: OM_LAZY_SHARED of the environment, separated by colons, which
// om-migrator sets by its configuration for itself and all that it starts; else the Java VM's.
std::vector<std::string> lazy_shared_patterns();
// Of this process, and what it starts from now on.
void set_lazy_shared_patterns(const std::vector<std::string>& patterns);

// Whether this is a writable shared mapping of such a file.
bool is_lazy_shared(const proc::Mapping& map, const std::vector<std::string>& patterns);

}  // namespace om

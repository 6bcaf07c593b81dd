// SPDX-License-Identifier: Apache-2.0
//
// Files that a process maps shared and writes to, and that others read only now and then, such as the monitoring file
// of every Java VM. They do not keep the process at home: while it is away they are written back every second, and at
// each homecoming.
#pragma once

#include <stdint.h>

#include <string>
#include <vector>

#include "common/proc/maps.h"

namespace om {

// Total for all such mappings of a process.
constexpr uint64_t kMaxLazyBytes = 1 << 20;

// Patterns of the paths (fnmatch, * does not match /): those in OM_LAZY_SHARED, separated by colons, which om-migrator
// sets from its configuration for itself and its children; by default the Java VM's.
std::vector<std::string> lazy_shared_patterns();
// Sets them for this process, and for what it starts from now on.
void set_lazy_shared_patterns(const std::vector<std::string>& patterns);

// Whether this is a writable shared mapping of such a file.
bool is_lazy_shared(const proc::Mapping& map, const std::vector<std::string>& patterns);

}  // namespace om

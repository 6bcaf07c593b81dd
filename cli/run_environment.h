// SPDX-License-Identifier: Apache-2.0
//
// The environment in which `om run` starts a program. Pure, for the tests.
#pragma once

#include <map>
#include <string>

#include "common/base/result.h"
#include "common/cpu/cpu_baseline.h"

namespace om::cli {

using Environment = std::map<std::string, std::string>;

Environment current_environment();

// Puts `library` behind what is in LD_PRELOAD already (a sanitizer's runtime has to stay first), once.
// Error if its path holds a character at which the loader splits the list.
Result<void> add_preload(Environment& environment, const std::string& library);

// What the job starts may have been built with gcc's address sanitizer, whose runtime does not run behind
// another library unless it is told to. The user's own options stay, and win if they name that one.
void add_sanitizer_options(Environment& environment);

// Appends the tunable to those that are set; sets the rest.
void add_baseline(Environment& environment, const CpuBaseline& baseline);

}  // namespace om::cli

// SPDX-License-Identifier: Apache-2.0
//
// The environment that `om run` gives a program. Pure, for the tests.
#pragma once

#include <map>
#include <string>

#include "common/base/result.h"
#include "common/cpu/cpu_baseline.h"

namespace om::cli {

using Environment = std::map<std::string, std::string>;

Environment current_environment();

// Appends `library` to LD_PRELOAD unless it is there (a sanitizer's runtime must stay first). Error if its path
// contains a character at which the loader splits the list.
Result<void> add_preload(Environment& environment, const std::string& library);

// The job may start programs built with gcc's address sanitizer, whose runtime refuses to run after another library
// unless told otherwise. The user's own options stay, and win if they set that one.
void add_sanitizer_options(Environment& environment);

// Appends the tunable to any already set; sets the other variables.
void add_baseline(Environment& environment, const CpuBaseline& baseline);

}  // namespace om::cli

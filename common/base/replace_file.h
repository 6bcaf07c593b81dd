// SPDX-License-Identifier: Apache-2.0
//
// Small files that are written as a whole: a reader finds the old contents or the new ones, never a part, and a
// disk that is full leaves the old ones.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace om {

// Writes a draft beside `path`, under a name that nobody can know before and with O_EXCL, and renames it. Errors:
// those of open(2), write(2) and rename(2); nothing has changed then.
Result<void> replace_file(const std::string& path, std::string_view text, mode_t mode);
// `name` in the open directory `at`.
Result<void> replace_file_at(int at, const std::string& name, std::string_view text, mode_t mode);

// Whether `file` is a draft of `name` left by a process that was killed while it wrote it.
bool is_draft_of(std::string_view file, std::string_view name);

}  // namespace om

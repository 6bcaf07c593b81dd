// SPDX-License-Identifier: Apache-2.0
//
// Replaces small files atomically: a reader sees the old contents or the new ones, never a part, and a full disk leaves
// the old ones.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace om {

// Writes a draft beside `path`, with O_EXCL and under an unpredictable name, and renames it. Errors: those of open(2),
// write(2) and rename(2); the file is then unchanged.
Result<void> replace_file(const std::string& path, std::string_view text, mode_t mode);
// The same for `name` in the open directory `at`.
Result<void> replace_file_at(int at, const std::string& name, std::string_view text, mode_t mode);
// The same; on return the new contents are on the disk, to survive a loss of power.
Result<void> replace_file_lastingly_at(int at, const std::string& name, std::string_view text,
                                       mode_t mode);

// Writes a file that is not there yet; EEXIST if it is. On return it is on the disk, to survive a loss of power.
Result<void> create_file_at(int at, const std::string& name, std::string_view text, mode_t mode);

// Whether `file` is a draft of `name`, as a process killed while writing leaves it behind.
bool is_draft_of(std::string_view file, std::string_view name);

}  // namespace om

// SPDX-License-Identifier: Apache-2.0
//
// Files of /proc/PID. Parsers in this folder take a string_view and never touch the system, so that tests can feed them
// any text; the thin read_* functions add the file.
//
// A pid here may also be a tid: /proc/TID exists (unlisted) for every thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "common/base/text.h"
#include "common/base/unique_fd.h"

namespace om::proc {

// "/proc/PID/NAME".
std::string proc_path(pid_t pid, std::string_view name);

// The whole file. ESRCH (not ENOENT) for a process that has gone, EACCES and EPERM as the kernel
// gives them, EFBIG above kMaxTextBytes.
Result<std::string> read_proc(pid_t pid, std::string_view name);
Result<UniqueFd> open_proc(pid_t pid, std::string_view name, int flags);

}  // namespace om::proc

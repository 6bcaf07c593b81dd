// SPDX-License-Identifier: Apache-2.0
//
// Files of /proc/PID. The parsers in this folder take a string_view and never touch the system, so that tests can feed
// them any text; thin read_* functions read the file.
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

// The whole file. ESRCH (not ENOENT) if the process is gone, EACCES and EPERM as from the kernel, EFBIG above
// kMaxTextBytes.
Result<std::string> read_proc(pid_t pid, std::string_view name);
Result<UniqueFd> open_proc(pid_t pid, std::string_view name, int flags);

}  // namespace om::proc

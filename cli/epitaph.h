// SPDX-License-Identifier: Apache-2.0
//
// What the daemon knows about the end of a process that may have been lost with a remote node.
#pragma once

#include <sys/types.h>

#include <string>

namespace om::cli {

// "CODE: message"; empty if nothing indicates a loss. Waits up to two seconds for the deputy's last report.
std::string epitaph(pid_t pid);

}  // namespace om::cli

// SPDX-License-Identifier: Apache-2.0
//
// What the daemon knows of the end of a process that may have been lost with a remote node.
#pragma once

#include <sys/types.h>

#include <string>

namespace om::cli {

// "CODE: message"; empty if nothing tells of a loss. Waits up to two seconds for the last words of its deputy.
std::string epitaph(pid_t pid);

}  // namespace om::cli

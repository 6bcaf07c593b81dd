// SPDX-License-Identifier: Apache-2.0
//
// Whether a process has root's privileges here. While it is away, system calls that the other node asks for run here
// with the process's credentials, so the administrator of that node has those too. Used by om-migrator for ROOT_OWNED.
//
// Ids and capabilities of all threads count, as seen from the caller's user namespace: what matters is what the calls
// may do there. A thread has root's privileges if one of its user ids is 0 there, or if it has a capability, effective
// or permitted, in the caller's own namespace or in one that root's id is mapped into (where setuid can become root).
// Root in a namespace that maps only ids of ordinary users (unshare -r, rootless containers) can do no more here than
// those users, and does not count.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "common/proc/status.h"

namespace om {

// What gives the process root's privileges, for the message; empty if nothing does, or if there is no such process.
std::string root_privileges(pid_t pid);

// Whether another namespace's map includes user id 0 of the caller's. True if the map cannot be parsed.
bool maps_root(std::string_view uid_map);

// The same for one thread. rules_here: its user namespace is the caller's, or root's id is mapped into it.
std::string root_privileges(const proc::Status& thread, bool rules_here);

}  // namespace om

// SPDX-License-Identifier: Apache-2.0
//
// Whether a process has root's privileges here. While it is away, the other node asks for system calls that are carried
// out here with the credentials of the process: whoever administers that node has them, too. Used by om-migrator for
// ROOT_OWNED.
//
// Ids and capabilities of all threads count, as they are seen from the caller's user namespace: what matters is what
// the calls may do there. So one of its user ids is 0 there; or it has a capability, effective or permitted, in the
// caller's own namespace, or in one that root's id is mapped into (setuid makes that root). Who is root in a namespace
// that has ids of ordinary users only (unshare -r, rootless containers) can do no more here than those users, and does
// not count.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "common/proc/status.h"

namespace om {

// What makes the process one of root's, for the message; empty if nothing does, or if there is no such process.
std::string root_privileges(pid_t pid);

// Whether user id 0 of the caller's namespace is in the map of another one. True for a map that cannot be understood.
bool maps_root(std::string_view uid_map);

// Of one thread. rules_here: its user namespace is the caller's, or root's id is mapped into it.
std::string root_privileges(const proc::Status& thread, bool rules_here);

}  // namespace om

// SPDX-License-Identifier: Apache-2.0
//
// Processes in namespaces of their own: user, PID, network, mount, IPC, UTS and cgroup, as far as an ordinary user may
// make them. Such a process sees no other process, no network, no host name and no file, and all rights that it has
// over its namespaces end there.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/base/result.h"

namespace om::proc {

// What a node wants for its guests.
enum class Isolation : uint8_t {
  kTry,      // namespaces as far as they may be made
  kRequire,  // no guest without
  kOff,
};
// In the order of Isolation.
inline constexpr std::string_view kIsolationNames[] = {"try", "require", "off"};
std::optional<Isolation> read_isolation(std::string_view word);
const char* isolation_name(Isolation isolation);

// Like fork(), but the child is in namespaces of its own, where its PID is 1 and its parent's 0. -1 with errno: EPERM
// or ENOSPC where an ordinary user may not, or there are too many. The child may only make async-signal-safe calls.
pid_t fork_apart();

// In such a child: makes an empty, read-only directory its root, and unmounts everything else. 0 or an errno. If it
// fails the process may have lost its mounts only in part: it still sees no more than before.
// Async-signal-safe.
int leave_file_system();

// Whether fork_apart() and leave_file_system() work here: tries it with a child, which takes a few milliseconds.
Result<void> try_namespaces();

}  // namespace om::proc

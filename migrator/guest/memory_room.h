// SPDX-License-Identifier: Apache-2.0
//
// How much more memory a process of this node can have before somebody's limit is reached and the kernel kills: the
// machine's, and that of every memory cgroup around the process (version 1 or 2). Page cache counts as free.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace om::guest {

struct MemoryRoom {
  uint64_t left = 0, limit = 0;  // bytes
  std::string of;                // "the machine", "the cgroup /a/b"
};

// Where memory controllers are mounted.
struct CgroupMount {
  std::string point, root;  // the folder, and which cgroup it shows
  bool second = false;      // version 2
};
std::vector<CgroupMount> memory_mounts(std::string_view mountinfo);

// Folders of the memory cgroups around a process, innermost first, from the text of its /proc/PID/cgroup; only those
// that the mounts show.
std::vector<std::string> memory_folders(std::string_view cgroups, const CgroupMount& mount);

// The tightest. An unreadable file counts as no limit; an error only if the machine's own figures are not there.
Result<MemoryRoom> memory_room(pid_t pid, const std::vector<CgroupMount>& mounts);

// Too little: less than `headroom` bytes and a 32nd of the limit, where that is not more than a quarter of it. Never
// with headroom 0.
bool is_short(const MemoryRoom& room, uint64_t headroom);

}  // namespace om::guest

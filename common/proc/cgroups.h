// SPDX-License-Identifier: Apache-2.0
//
// Where control groups are: the mounts of both versions, and the folders that show those around a process.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace om::proc {

// A mounted hierarchy.
struct CgroupMount {
  std::string point, root;  // the folder, and which cgroup it shows
  bool second = false;  // version 2, which has all controllers that no hierarchy of version 1 has
};

// The mounts that may have a controller ("memory", "pids", "cpu"), from the text of /proc/PID/mountinfo.
std::vector<CgroupMount> cgroup_mounts(std::string_view mountinfo, std::string_view controller);

// Folders of the cgroups around a process, innermost first, from the text of its /proc/PID/cgroup; only those that the
// mount shows.
std::vector<std::string> cgroup_folders(std::string_view cgroups, const CgroupMount& mount,
                                        std::string_view controller);

}  // namespace om::proc

// SPDX-License-Identifier: Apache-2.0
//
// How much more memory a process of this node can have before somebody's limit is reached and the kernel kills: the
// machine's, and that of every memory cgroup around the process (version 1 or 2). Page cache counts as free.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

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

// Looks again and again: what it reads stays open. An unreadable file counts as no limit.
class RoomReader {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kGroupsLast{1};  // then they are looked up again

  explicit RoomReader(std::vector<CgroupMount> mounts) : mounts_(std::move(mounts)) {}

  // The tightest around process `pid`, always the same. An error only if the machine's own figures are not there.
  // Where there is plenty without it page cache may be left out.
  Result<MemoryRoom> read(pid_t pid, Time now);

 private:
  struct Group {
    std::string folder;
    bool second;
    UniqueFd limit, used, stat;
  };
  void find_groups(pid_t pid);
  static std::optional<MemoryRoom> room_of(const Group& group);

  std::vector<CgroupMount> mounts_;
  UniqueFd machine_;
  std::string cgroups_;  // text of /proc/PID/cgroup
  std::vector<Group> groups_;
  std::optional<Time> found_;
};

// Too little: less than `headroom` bytes and a 32nd of the limit, where that is not more than a quarter of it. Never
// with headroom 0.
bool is_short(const MemoryRoom& room, uint64_t headroom);

// When to look again at what is not short: the nearer, the sooner, so that nobody can use up what is left meanwhile.
std::chrono::milliseconds look_again(const MemoryRoom& room, uint64_t headroom);

}  // namespace om::guest

// SPDX-License-Identifier: Apache-2.0
//
// How much more memory a process of this node can take before it reaches a limit and the kernel kills: the machine's
// limit, or that of any memory cgroup around the process (version 1 or 2). Page cache counts as free.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/base/unique_fd.h"
#include "common/proc/cgroups.h"

namespace om::guest {

struct MemoryRoom {
  uint64_t left = 0, limit = 0;  // bytes
  std::string of;                // "the machine", "the cgroup /a/b"
};

// Reads the same files again and again, and keeps them open. An unreadable file counts as no limit.
class RoomReader {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kGroupsLast{1};  // then they are looked up again

  explicit RoomReader(std::vector<proc::CgroupMount> mounts) : mounts_(std::move(mounts)) {}

  // The tightest limit around process `pid`, which is the same in every call. Fails only if the machine's own figures
  // cannot be read. May leave out page cache where there is plenty without it.
  Result<MemoryRoom> read(pid_t pid, Time now);

 private:
  struct Group {
    std::string folder;
    bool second;
    UniqueFd limit, used, stat;
  };
  void find_groups(pid_t pid);
  static std::optional<MemoryRoom> room_of(const Group& group);

  std::vector<proc::CgroupMount> mounts_;
  UniqueFd machine_;
  std::string cgroups_;  // text of /proc/PID/cgroup
  std::vector<Group> groups_;
  std::optional<Time> found_;
};

// Whether less is left than the larger of `headroom` bytes and a 32nd of the limit, or than a quarter of the limit if
// that is less. Never with headroom 0.
bool is_short(const MemoryRoom& room, uint64_t headroom);

// When to look again at room that is not short: the less is left, the sooner, so that nobody can use it up in between.
std::chrono::milliseconds look_again(const MemoryRoom& room, uint64_t headroom);

}  // namespace om::guest

// SPDX-License-Identifier: Apache-2.0
#include "guest/memory_room.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "common/proc/proc_file.h"

namespace om::guest {
namespace {

constexpr std::string_view kController = "memory";
constexpr uint64_t kNoLimit = uint64_t{1} << 60;  // version 1 says "none" by a number near 2^63

constexpr uint64_t kFastest = uint64_t{4} << 30;  // bytes a second that can be used up at most
constexpr std::chrono::milliseconds kSoonest(50), kLatest(1000);

// A file of /proc or of a cgroup, generated anew at each read.
std::string text_of(const UniqueFd& fd) {
  char buffer[16384];
  const ssize_t n = fd.valid() ? ::pread(fd.get(), buffer, sizeof buffer, 0) : -1;
  return n > 0 ? std::string(buffer, static_cast<size_t>(n)) : std::string();
}

UniqueFd open_file(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

std::optional<uint64_t> number_in(const UniqueFd& fd) {
  const std::string text = text_of(fd);
  std::string_view rest = text;
  uint64_t value = 0;
  if (rest.empty() || !parse_number(take_line(rest), value)) return std::nullopt;
  return value;
}

// Less than this is short.
uint64_t least(uint64_t limit, uint64_t headroom) {
  return std::min(std::max(headroom, limit / 32), limit / 4);
}

// Sum of the named lines ("inactive_file 123") or of "MemFree:   123 kB".
uint64_t sum_of(std::string_view text, std::initializer_list<std::string_view> names) {
  uint64_t sum = 0;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    const std::string_view name = take_field(line);
    uint64_t value = 0;
    if (std::find(names.begin(), names.end(), name) != names.end() &&
        parse_number(take_field(line), value))
      sum += value;
  }
  return sum;
}

}  // namespace

void RoomReader::find_groups(pid_t pid) {
  std::string cgroups = proc::read_proc(pid, "cgroup").value_or("");
  if (found_ && cgroups == cgroups_) return;
  cgroups_ = std::move(cgroups);
  groups_.clear();
  for (const proc::CgroupMount& mount : mounts_) {
    const bool second = mount.second;
    for (const std::string& folder : proc::cgroup_folders(cgroups_, mount, kController)) {
      Group group{folder, second,
                  open_file(folder + (second ? "/memory.max" : "/memory.limit_in_bytes")),
                  open_file(folder + (second ? "/memory.current" : "/memory.usage_in_bytes")),
                  open_file(folder + "/memory.stat")};
      if (group.limit.valid() && group.used.valid()) groups_.push_back(std::move(group));
    }
  }
}

// memory.stat costs more than all the rest: it is read only where page cache may make a difference.
std::optional<MemoryRoom> RoomReader::room_of(const Group& group) {
  const auto limit = number_in(group.limit);
  if (!limit || *limit >= kNoLimit) return std::nullopt;
  const auto used = number_in(group.used);
  if (!used) return std::nullopt;
  uint64_t left = *limit > *used ? *limit - *used : 0;
  if (left < kFastest) {
    const std::string stat = text_of(group.stat);
    left += group.second ? sum_of(stat, {"inactive_file", "active_file"})
                         : sum_of(stat, {"total_inactive_file", "total_active_file"});
  }
  return MemoryRoom{std::min(left, *limit), *limit, "the cgroup " + group.folder};
}

Result<MemoryRoom> RoomReader::read(pid_t pid, Time now) {
  if (!machine_.valid()) machine_ = open_file("/proc/meminfo");
  const std::string memory = text_of(machine_);
  if (memory.empty()) return errno_error("read /proc/meminfo");
  if (!found_ || now - *found_ >= kGroupsLast) {
    find_groups(pid);
    found_ = now;
  }
  MemoryRoom room{sum_of(memory, {"MemAvailable:"}) << 10, sum_of(memory, {"MemTotal:"}) << 10,
                  "the machine"};
  for (const Group& group : groups_) {
    auto one = room_of(group);
    if (one && one->left < room.left) room = std::move(*one);
  }
  return room;
}

bool is_short(const MemoryRoom& room, uint64_t headroom) {
  return headroom != 0 && room.left < least(room.limit, headroom);
}

std::chrono::milliseconds look_again(const MemoryRoom& room, uint64_t headroom) {
  const uint64_t need = least(room.limit, headroom);
  const uint64_t spare = room.left > need ? room.left - need : 0;
  const auto pause = std::chrono::milliseconds(spare / (kFastest / 1000));
  return std::clamp(pause, kSoonest, kLatest);
}

}  // namespace om::guest

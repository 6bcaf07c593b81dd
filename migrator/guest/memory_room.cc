// SPDX-License-Identifier: Apache-2.0
#include "migrator/guest/memory_room.h"

#include <algorithm>

#include "common/proc/text.h"

namespace om::guest {
namespace {

constexpr uint64_t kNoLimit = uint64_t{1} << 60;  // version 1 says "none" by a number near 2^63

bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const size_t end = std::min(list.find(','), list.size());
    if (list.substr(0, end) == word) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

std::optional<uint64_t> number_in(const std::string& path) {
  const std::string text = proc::read_text(path).value_or("");
  std::string_view rest = text;
  uint64_t value = 0;
  if (rest.empty() || !proc::parse_number(proc::take_line(rest), value)) return std::nullopt;
  return value;
}

// Sum of the named lines ("inactive_file 123") or of "MemFree:   123 kB".
uint64_t sum_of(std::string_view text, std::initializer_list<std::string_view> names) {
  uint64_t sum = 0;
  while (!text.empty()) {
    std::string_view line = proc::take_line(text);
    const std::string_view name = proc::take_field(line);
    uint64_t value = 0;
    if (std::find(names.begin(), names.end(), name) != names.end() &&
        proc::parse_number(proc::take_field(line), value))
      sum += value;
  }
  return sum;
}

std::optional<MemoryRoom> room_of(const std::string& folder, bool second) {
  const auto limit = number_in(folder + (second ? "/memory.max" : "/memory.limit_in_bytes"));
  const auto used = number_in(folder + (second ? "/memory.current" : "/memory.usage_in_bytes"));
  if (!limit || *limit >= kNoLimit || !used) return std::nullopt;
  const std::string stat = proc::read_text(folder + "/memory.stat").value_or("");
  const uint64_t cache = second ? sum_of(stat, {"inactive_file", "active_file"})
                                : sum_of(stat, {"total_inactive_file", "total_active_file"});
  const uint64_t taken = *used > cache ? *used - cache : 0;
  return MemoryRoom{*limit > taken ? *limit - taken : 0, *limit, "the cgroup " + folder};
}

}  // namespace

std::vector<CgroupMount> memory_mounts(std::string_view mountinfo) {
  std::vector<CgroupMount> mounts;
  while (!mountinfo.empty()) {
    std::string_view line = proc::take_line(mountinfo);
    std::vector<std::string_view> fields;
    for (std::string_view field = proc::take_field(line); !field.empty();
         field = proc::take_field(line))
      fields.push_back(field);
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (dash - fields.begin() < 6 || fields.end() - dash < 4) continue;
    const bool second = dash[1] == "cgroup2";
    if (!second && (dash[1] != "cgroup" || !has_word(dash[3], "memory"))) continue;
    mounts.push_back({std::string(fields[4]), std::string(fields[3]), second});
  }
  return mounts;
}

std::vector<std::string> memory_folders(std::string_view cgroups, const CgroupMount& mount) {
  while (!cgroups.empty()) {
    const std::string_view line = proc::take_line(cgroups);
    const size_t first = line.find(':');
    const size_t next = first == line.npos ? line.npos : line.find(':', first + 1);
    if (next == line.npos) continue;
    const std::string_view controllers = line.substr(first + 1, next - first - 1);
    if (mount.second ? !controllers.empty() : !has_word(controllers, "memory")) continue;
    std::string_view path = line.substr(next + 1);
    if (mount.root != "/") {
      if (path.substr(0, mount.root.size()) != mount.root) return {};
      path.remove_prefix(mount.root.size());
    }
    std::vector<std::string> folders;
    while (path.size() > 1) {
      folders.push_back(mount.point + std::string(path));
      path = path.substr(0, path.rfind('/'));
    }
    folders.push_back(mount.point);
    return folders;
  }
  return {};
}

Result<MemoryRoom> memory_room(pid_t pid, const std::vector<CgroupMount>& mounts) {
  const std::string memory = OM_TRY(proc::read_text("/proc/meminfo"));
  MemoryRoom room{sum_of(memory, {"MemAvailable:"}) << 10, sum_of(memory, {"MemTotal:"}) << 10,
                  "the machine"};
  const std::string cgroups = proc::read_proc(pid, "cgroup").value_or("");
  for (const CgroupMount& mount : mounts) {
    for (const std::string& folder : memory_folders(cgroups, mount)) {
      auto one = room_of(folder, mount.second);
      if (one && one->left < room.left) room = std::move(*one);
    }
  }
  return room;
}

bool is_short(const MemoryRoom& room, uint64_t headroom) {
  if (headroom == 0) return false;
  return room.left < std::min(std::max(headroom, room.limit / 32), room.limit / 4);
}

}  // namespace om::guest

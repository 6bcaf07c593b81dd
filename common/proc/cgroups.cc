// SPDX-License-Identifier: Apache-2.0
#include "common/proc/cgroups.h"

#include <algorithm>

#include "common/base/text.h"

namespace om::proc {
namespace {

bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const size_t end = std::min(list.find(','), list.size());
    if (list.substr(0, end) == word) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

}  // namespace

std::vector<CgroupMount> cgroup_mounts(std::string_view mountinfo, std::string_view controller) {
  std::vector<CgroupMount> mounts;
  while (!mountinfo.empty()) {
    std::string_view line = take_line(mountinfo);
    std::vector<std::string_view> fields;
    for (std::string_view field = take_field(line); !field.empty(); field = take_field(line))
      fields.push_back(field);
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (dash - fields.begin() < 6 || fields.end() - dash < 4) continue;
    const bool second = dash[1] == "cgroup2";
    if (!second && (dash[1] != "cgroup" || !has_word(dash[3], controller))) continue;
    mounts.push_back({std::string(fields[4]), std::string(fields[3]), second});
  }
  return mounts;
}

std::vector<std::string> cgroup_folders(std::string_view cgroups, const CgroupMount& mount,
                                        std::string_view controller) {
  while (!cgroups.empty()) {
    const std::string_view line = take_line(cgroups);
    const size_t first = line.find(':');
    const size_t next = first == line.npos ? line.npos : line.find(':', first + 1);
    if (next == line.npos) continue;
    const std::string_view controllers = line.substr(first + 1, next - first - 1);
    if (mount.second ? !controllers.empty() : !has_word(controllers, controller)) continue;
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

}  // namespace om::proc

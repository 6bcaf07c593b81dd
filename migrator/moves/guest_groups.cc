// SPDX-License-Identifier: Apache-2.0
#include "migrator/moves/guest_groups.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/unique_fd.h"
#include "common/proc/cgroups.h"

namespace om::migrator {
namespace {

constexpr const char* kControllers[] = {"memory", "pids", "cpu"};
constexpr uint64_t kLeastSlack = uint64_t{512} << 20;

Result<void> write_value(const std::string& path, const std::string& value) {
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), value.data(), value.size()) < 0)
    return errno_error("write " + value + " to " + path);
  return {};
}

bool has_line(const std::string& path, std::string_view word) {
  const auto text = read_text(path);
  std::string_view rest = text ? std::string_view(*text) : std::string_view();
  for (std::string_view field = take_field(rest); !field.empty(); field = take_field(rest)) {
    while (!field.empty() && field.back() == '\n') field.remove_suffix(1);
    if (field == word) return true;
  }
  return false;
}

Result<void> make_folder(const std::string& folder) {
  if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return errno_error("make " + folder);
  return {};
}

// Version 2 gives controllers to groups only where no process is in the group itself, so the daemon goes into one of
// its own. Only if it is alone: who shares the group with others was not given it.
bool hand_down(const std::string& folder, const std::string& name) {
  const std::string switches = folder + "/cgroup.subtree_control";
  bool wanted = false, missing = false;
  for (const char* controller : kControllers) {
    if (!has_line(folder + "/cgroup.controllers", controller)) continue;
    wanted = true;
    missing = missing || !has_line(switches, controller);
  }
  if (!wanted || !missing) return wanted;
  if (::access((folder + "/cgroup.type").c_str(), F_OK) == 0) {  // not the root group
    const auto members = read_text(folder + "/cgroup.procs");
    if (!members || *members != fmt::format("{}\n", ::getpid())) return false;
    const std::string own = folder + "/" + name + "-daemon";
    if (!make_folder(own) || !write_value(own + "/cgroup.procs", "0")) return false;
  }
  bool any = false;
  for (const char* controller : kControllers) {
    if (!has_line(folder + "/cgroup.controllers", controller)) continue;
    any = write_value(switches, std::string("+") + controller).ok() || any;
  }
  return any;
}

// The group that this process is in, of a hierarchy with the controller.
std::optional<GuestGroups::Place> place_of(const std::string& controller, const std::string& mounts,
                                           const std::string& cgroups, const std::string& name) {
  const auto all = proc::cgroup_mounts(mounts, controller);
  for (const bool second : {true, false}) {
    for (const proc::CgroupMount& mount : all) {
      if (mount.second != second) continue;
      const auto folders = proc::cgroup_folders(cgroups, mount, controller);
      if (folders.empty()) continue;
      std::string folder = folders.front();
      // A daemon that was restarted is in the group that an earlier one made.
      const std::string tail = "/" + name + "-daemon";
      if (second && folder.ends_with(tail)) folder.resize(folder.size() - tail.size());
      if (second && !has_line(folder + "/cgroup.controllers", controller)) continue;
      if (second && !hand_down(folder, name)) continue;
      if (second && !has_line(folder + "/cgroup.subtree_control", controller)) continue;
      return GuestGroups::Place{controller, folder, second};
    }
  }
  return std::nullopt;
}

using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;

}  // namespace

uint64_t GuestGroups::hard_limit(uint64_t bytes) {
  return bytes + std::max(bytes / 4, kLeastSlack);
}

GuestGroups GuestGroups::find(const std::string& name, const GuestResources& limits) {
  const std::string mounts = read_text("/proc/self/mountinfo").value_or("");
  const std::string cgroups = read_text("/proc/self/cgroup").value_or("");
  std::vector<Place> places;
  for (const char* controller : kControllers) {
    if (!limits.needs(controller)) continue;
    if (auto place = place_of(controller, mounts, cgroups, name))
      places.push_back(std::move(*place));
  }
  return GuestGroups(std::move(places), name, limits);
}

GuestGroups::GuestGroups(std::vector<Place> places, const std::string& name,
                         const GuestResources& limits)
    : limits_(limits) {
  for (const Place& place : places) {
    if (!limits.needs(place.controller)) continue;
    const Group group{place.controller, place.folder + "/" + name, place.second};
    auto made = make_folder(group.folder);
    if (made && group.second)
      made = write_value(group.folder + "/cgroup.subtree_control", "+" + group.controller);
    if (made) made = limit(group, group.folder, true);
    if (made) {
      groups_.push_back(group);
    } else {
      log_debug("guests", "no control group for {}: {}", group.controller, made.error().text());
    }
  }
}

Result<void> GuestGroups::limit(const Group& group, const std::string& folder, bool all) const {
  const auto set = [&folder](const char* file, const std::string& value) {
    return write_value(folder + "/" + file, value);
  };
  if (group.controller == "memory") {
    const uint64_t most = all ? limits_.all_memory_bytes : limits_.memory_bytes;
    const uint64_t hard = all ? most : hard_limit(most);
    if (!group.second) return set("memory.limit_in_bytes", most == 0 ? "-1" : std::to_string(hard));
    // Above the first a guest is slowed down, so that there is time to send it home.
    if (most != 0 && !all) OM_TRY(set("memory.high", std::to_string(most + (hard - most) / 2)));
    return set("memory.max", most == 0 ? "max" : std::to_string(hard));
  }
  if (group.controller == "pids") {
    const uint32_t most = all ? limits_.all_threads : limits_.threads;
    return set("pids.max",
               most == 0 ? "max" : std::to_string(uint64_t{most} + (all ? 0 : kKeeperThreads)));
  }
  if (!all) return {};  // among each other all guests are alike
  const bool low = limits_.cpu == proc::CpuShare::kLow, idle = limits_.cpu == proc::CpuShare::kIdle;
  if (!group.second) return set("cpu.shares", idle ? "2" : low ? "110" : "1024");
  return set("cpu.weight", idle ? "1" : low ? "11" : "100");
}

Result<std::vector<std::string>> GuestGroups::make(const std::string& key) {
  std::vector<std::string> files;
  for (const Group& group : groups_) {
    const std::string folder = group.folder + "/" + key;
    const std::string file = folder + "/cgroup.procs";
    // Version 2 has one folder for all controllers.
    const bool known = std::find(files.begin(), files.end(), file) != files.end();
    if (!known) OM_TRY(make_folder(folder));
    OM_TRY(limit(group, folder, false));
    if (!known) files.push_back(file);
  }
  return files;
}

void GuestGroups::sweep(const std::set<std::string>& keep) {
  for (const Group& group : groups_) {
    const Folder open(::opendir(group.folder.c_str()), &::closedir);
    if (!open) continue;
    while (const dirent* entry = ::readdir(open.get())) {
      const std::string name = entry->d_name;
      if (entry->d_type != DT_DIR || name.starts_with('.') || keep.count(name) != 0) continue;
      ::rmdir((group.folder + "/" + name).c_str());  // EBUSY: it has processes
    }
  }
}

void GuestGroups::leave() {
  sweep({});
  for (const Group& group : groups_) ::rmdir(group.folder.c_str());
  groups_.clear();
}

std::string GuestGroups::kind() const {
  if (groups_.empty()) return "none";
  return groups_.front().second ? "v2" : "v1";
}

bool GuestGroups::has(std::string_view controller) const {
  return std::any_of(groups_.begin(), groups_.end(),
                     [&](const Group& group) { return group.controller == controller; });
}

}  // namespace om::migrator

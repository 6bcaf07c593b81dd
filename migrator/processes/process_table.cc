// SPDX-License-Identifier: Apache-2.0
#include "migrator/processes/process_table.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "common/movable/preload.h"
#include "common/proc/proc_file.h"
#include "common/proc/process.h"
#include "common/proc/stat.h"
#include "common/proc/status.h"

namespace om::migrator {
namespace {

uint64_t ticks_to_ms(uint64_t ticks) {
  static const auto per_second = static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  return ticks * 1000 / per_second;
}

uint64_t boot_time_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

std::string program_name(pid_t pid) {
  auto link = read_link(proc::proc_path(proc::memory_tid(pid), "exe"));
  if (!link) return "";
  return link->substr(link->rfind('/') + 1);
}

// Our own programs may be started from an environment that preloads everything.
bool own_program(pid_t pid) {
  static const std::set<std::string> kOwn{"om",        "openmosix", "om-migrator",
                                          "om-deputy", "om-guest",  "om-body"};
  return kOwn.count(program_name(pid)) != 0;
}

bool same_file(const std::string& a, const std::string& b) {
  struct stat sa {};
  struct stat sb {};
  return ::stat(a.c_str(), &sa) == 0 && ::stat(b.c_str(), &sb) == 0 && sa.st_dev == sb.st_dev &&
         sa.st_ino == sb.st_ino;
}

}  // namespace

bool is_front_end(pid_t pid) {
  const std::string name = program_name(pid);
  return name == "om" || name == "openmosix";
}

bool is_no_process(const Error& error) { return error.err == ESRCH || error.err == ENOENT; }

Result<ProcessInfo> read_process(pid_t pid) {
  proc::Stat stat = OM_TRY(proc::read_stat(pid));
  const pid_t shown = proc::memory_tid(pid);
  proc::Status status = OM_TRY(proc::read_status(shown));
  ProcessInfo info;
  info.id = ProcessId{pid, stat.starttime};
  if (stat.state == 'Z' || stat.state == 'X') {
    if (shown == pid) return Error{ESRCH, "read process " + std::to_string(pid)};
    stat.state = status.state;
  }
  info.uid = status.uid[0];
  info.gid = status.gid[0];
  info.threads = static_cast<uint32_t>(std::max<int64_t>(stat.num_threads, 0));
  info.rss_bytes = status.vm_rss_bytes;
  info.cpu_ms = ticks_to_ms(stat.utime + stat.stime);
  uint64_t now = boot_time_ms();
  uint64_t start = ticks_to_ms(stat.starttime);
  info.age_ms = now > start ? now - start : 0;
  info.state = stat.state;
  auto arguments = proc::read_cmdline(shown);
  if (arguments) {
    for (const std::string& argument : *arguments) {
      info.command += (info.command.empty() ? "" : " ") + argument;
    }
  }
  if (info.command.empty()) info.command = "[" + stat.comm + "]";
  return info;
}

ProcessTable::ProcessTable(std::string control_path, bool default_node)
    : control_path_(std::move(control_path)), default_node_(default_node) {}

bool ProcessTable::is_this_node(const std::string& control) const {
  // An empty one counts as unset, as in om.
  if (control.empty()) return default_node_;
  return control == control_path_ || same_file(control, control_path_);
}

ProcessTable::Membership ProcessTable::membership(pid_t pid) const {
  const pid_t shown = proc::memory_tid(pid);
  auto maps = proc::read_maps(shown);
  if (!maps) {
    bool denied = maps.error().err == EACCES || maps.error().err == EPERM;
    return denied ? Membership::kUnreadable : Membership::kGone;
  }
  // (A body has libom's pages, but not the file, so it is not ours.)
  const ProgramStart start = read_start(shown, *maps);
  if (start.phase == ProgramStart::Phase::kNotLoaded || own_program(pid))
    return Membership::kNotLoaded;
  if (start.phase == ProgramStart::Phase::kStarting) return Membership::kStarting;
  if (start.phase == ProgramStart::Phase::kUnknown) return Membership::kUnreadable;
  return is_this_node(start.control) ? Membership::kMember : Membership::kOtherNode;
}

pid_t ProcessTable::runner_of(pid_t pid) {
  auto stat = proc::read_stat(pid);
  if (!stat || stat->ppid <= 0) return 0;
  const std::string name = program_name(stat->ppid);
  return name == "om" || name == "openmosix" ? stat->ppid : 0;
}

pid_t ProcessTable::resolve(pid_t pid) const {
  if (!is_front_end(pid)) return pid;
  auto children = proc::list_children(pid);
  return children && children->size() == 1 ? children->front() : pid;
}

}  // namespace om::migrator

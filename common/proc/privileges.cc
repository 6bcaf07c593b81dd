// SPDX-License-Identifier: Apache-2.0
#include "common/proc/privileges.h"

#include <fmt/core.h>
#include <linux/capability.h>
#include <sys/stat.h>

#include <algorithm>

#include "common/proc/proc_file.h"
#include "common/proc/process.h"

namespace om {
namespace {

// These can only keep a machine from sleeping, or wake it. systemd gives the first to every login session.
constexpr uint64_t kHarmless = uint64_t{1} << CAP_WAKE_ALARM | uint64_t{1} << CAP_BLOCK_SUSPEND;

bool in_own_namespace(pid_t tid) {
  struct stat own {
  }, its{};
  // A kernel without namespaces has just one; if we may not look at a thread's, it is not known to be another.
  if (::stat("/proc/self/ns/user", &own) != 0 ||
      ::stat(fmt::format("/proc/{}/ns/user", tid).c_str(), &its) != 0) {
    return true;
  }
  return own.st_dev == its.st_dev && own.st_ino == its.st_ino;
}

bool rules_here(pid_t tid) {
  if (in_own_namespace(tid)) return true;
  const auto map = proc::read_proc(tid, "uid_map");
  return !map || maps_root(*map);
}

}  // namespace

// Each line: first id inside, first id here, how many. An id that does not exist here shows as -1.
bool maps_root(std::string_view uid_map) {
  while (!uid_map.empty()) {
    std::string_view line = take_line(uid_map);
    uint32_t inside = 0, here = 0;
    if (!parse_number(take_field(line), inside) || !parse_number(take_field(line), here) ||
        here == 0) {
      return true;
    }
  }
  return false;
}

std::string root_privileges(const proc::Status& thread, bool rules_here) {
  if (std::find(thread.uid.begin(), thread.uid.end(), 0U) != thread.uid.end())
    return "one of its user ids is 0";
  const uint64_t held = (thread.cap_effective | thread.cap_permitted) & ~kHarmless;
  if (held == 0 || !rules_here) return "";
  return fmt::format("capabilities {:016x}", held);
}

std::string root_privileges(pid_t pid) {
  for (pid_t tid : proc::list_tasks(pid).value_or({})) {
    const auto thread = proc::read_status(tid);
    if (!thread) continue;  // has ended
    std::string found = root_privileges(*thread, true);
    if (found.empty()) continue;
    // Look at the namespace only for threads that have any.
    found = root_privileges(*thread, rules_here(tid));
    if (!found.empty()) return found;
  }
  return "";
}

}  // namespace om

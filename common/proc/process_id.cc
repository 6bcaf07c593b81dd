// SPDX-License-Identifier: Apache-2.0
#include "common/proc/process_id.h"

#include <fmt/core.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/proc/process.h"
#include "common/proc/stat.h"

namespace om {

Result<ProcessId> ProcessId::of(pid_t pid) {
  proc::Stat stat = OM_TRY(proc::read_stat(pid));
  return ProcessId{pid, stat.starttime};
}

bool ProcessId::alive() const {
  auto stat = proc::read_stat(pid);
  if (!stat || stat->starttime != start_ticks) return false;
  // A main thread may end before the others.
  return (stat->state != 'Z' && stat->state != 'X') || proc::memory_tid(pid) != pid;
}

Result<UniqueFd> ProcessId::open() const {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) return errno_error(fmt::format("open process {}", pid));
  // The pidfd holds on to the process; checking after opening rules out that the pid was reused in between.
  if (!alive()) return Error{ESRCH, fmt::format("open process {}", pid)};
  return fd;
}

}  // namespace om

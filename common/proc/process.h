// SPDX-License-Identifier: Apache-2.0
//
// What else the daemons read about one process: its threads, descriptors, limits, auxiliary vector, command line and
// environment; and the list of processes.
#pragma once

#include <stdint.h>
#include <sys/resource.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/text.h"

namespace om::proc {

// All processes that this /proc shows, ascending. Processes and threads may come and go during the read.
Result<std::vector<pid_t>> list_processes();

// Thread ids, ascending; the main thread's is the pid. ESRCH if the process is gone.
Result<std::vector<pid_t>> list_tasks(pid_t pid);

// The thread through which /proc shows the process's memory, descriptors and program: the main thread, or another if
// that one has called pthread_exit. `pid` itself if there is none.
pid_t memory_tid(pid_t pid);

// Direct children of all threads of `pid`; ENOENT where the kernel has no task/TID/children.
Result<std::vector<pid_t>> list_children(pid_t pid);

struct FdEntry {
  int fd = -1;
  std::string target;  // "/path", "socket:[123]", "anon_inode:[io_uring]", "/memfd:x (deleted)"
};

// Open descriptors, ascending. EACCES without ptrace-read rights.
Result<std::vector<FdEntry>> list_fds(pid_t pid);

// How many timers in the text of /proc/PID/timers count CPU time. EBADMSG if the text is something else.
Result<int> parse_cpu_timers(std::string_view text);
// ENOENT if the kernel has no such file.
Result<int> read_cpu_timers(pid_t pid);

struct FdInfo {
  uint64_t pos = 0;
  uint32_t flags = 0;  // O_*; O_CLOEXEC is the descriptor's own
  int32_t mnt_id = 0;
};

Result<FdInfo> parse_fdinfo(std::string_view text);
Result<FdInfo> read_fdinfo(pid_t pid, int fd);

// Index is RLIMIT_*. Needs equal user ids or CAP_SYS_RESOURCE (EPERM).
using Limits = std::array<rlimit, RLIM_NLIMITS>;
Result<Limits> read_limits(pid_t pid);
Result<rlimit> read_limit(pid_t pid, int resource);

// Pairs up to AT_NULL, exclusive. EBADMSG if the bytes are not whole 64-bit pairs.
class Auxv {
 public:
  explicit Auxv(std::vector<std::pair<uint64_t, uint64_t>> entries)
      : entries_(std::move(entries)) {}
  std::optional<uint64_t> find(uint64_t type) const;
  const std::vector<std::pair<uint64_t, uint64_t>>& entries() const { return entries_; }

 private:
  std::vector<std::pair<uint64_t, uint64_t>> entries_;
};
Result<Auxv> parse_auxv(std::string_view bytes);
Result<Auxv> read_auxv(pid_t pid);

// NUL-separated strings. A program may overwrite both files' text, so the last string may lack its NUL.
std::vector<std::string> parse_strings(std::string_view bytes);
Result<std::vector<std::string>> read_cmdline(pid_t pid);
Result<std::vector<std::string>> read_environ(pid_t pid);

}  // namespace om::proc

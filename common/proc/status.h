// SPDX-License-Identifier: Apache-2.0
//
// /proc/PID/status, or /proc/TID/status: ids, seccomp, tracer and signal masks are per thread. Fields whose lines the
// running kernel does not print keep their default; a line that cannot be parsed is an Error.
#pragma once

#include <stdint.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/text.h"

namespace om::proc {

struct Status {
  std::string name;  // comm, unescaped, at most 15 bytes for user processes
  char state = '?';  // R S D T t Z X I ...
  pid_t tgid = 0;
  pid_t pid = 0;  // the tid for a thread
  pid_t ppid = 0;
  pid_t tracer_pid = 0;
  std::array<uint32_t, 4> uid{};  // real, effective, saved, file system
  std::array<uint32_t, 4> gid{};
  std::vector<uint32_t> groups;  // supplementary
  std::vector<pid_t> ns_pids;    // outermost (the reader's) namespace first
  bool kernel_thread = false;    // Kthread line, or no VmSize line
  uint64_t vm_size_bytes = 0;
  uint64_t vm_data_bytes = 0;  // counted in RLIMIT_DATA
  uint64_t vm_locked_bytes = 0;
  uint64_t vm_rss_bytes = 0;
  uint64_t vm_swap_bytes = 0;
  uint32_t threads = 0;
  uint64_t sig_pending = 0;         // of this thread; bit n - 1 is signal n
  uint64_t sig_pending_shared = 0;  // of the process
  uint64_t sig_blocked = 0;
  uint64_t sig_ignored = 0;
  uint64_t sig_caught = 0;
  uint64_t cap_permitted = 0;  // bit n is capability n
  uint64_t cap_effective = 0;
  bool no_new_privs = false;
  uint32_t seccomp = 0;       // SECCOMP_MODE_*
  bool shadow_stack = false;  // x86_Thread_features has shstk
};

Result<Status> parse_status(std::string_view text);
Result<Status> read_status(pid_t pid);

}  // namespace om::proc

// SPDX-License-Identifier: Apache-2.0
//
// The preloaded processes of this node, found in /proc: they do not register. A process belongs to the node whose
// control socket OM_CONTROL named when it started, as saved by libom (libom/abi/start.h); without that variable, to the
// default node of its user. Our own programs are left out. migrator/processes/census.h finds them all,
// migrator/processes/sampler.h measures what they do.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/proc/process_id.h"

namespace om::migrator {

struct ProcessInfo {
  ProcessId id;
  uid_t uid = 0;  // real, effective and saved when dumpable; the real one
  gid_t gid = 0;
  uint32_t threads = 0;
  uint64_t rss_bytes = 0;
  uint64_t cpu_ms = 0;  // user + system, ever
  uint64_t age_ms = 0;  // since its start
  char state = '?';     // as in /proc/PID/stat
  std::string command;  // arguments joined by blanks; the name in brackets if there are none
};

// ESRCH if there is no such process.
Result<ProcessInfo> read_process(pid_t pid);
// Whether read_process() failed because there is no such process, and not for another reason, such as having no free
// descriptor here.
bool is_no_process(const Error& error);
// Whether it is om, possibly an `om run` with a job as its child.
bool is_front_end(pid_t pid);

class ProcessTable {
 public:
  enum class Membership {
    kMember,      // preloaded and ours
    kStarting,    // preloaded; unknown whose until libom's constructor has run
    kOtherNode,   // preloaded, but its OM_CONTROL names another socket
    kNotLoaded,   // libom.so is not in it
    kUnreadable,  // another user's
    kGone,
  };

  // control_path: this node's socket. default_node: whether processes without OM_CONTROL are ours.
  ProcessTable(std::string control_path, bool default_node);

  // Any thread. Reads a lot of /proc for a process with a large address space.
  Membership membership(pid_t pid) const;

  // The `om run` that watches the process; 0 if there is none.
  static pid_t runner_of(pid_t pid);

  // The process that the user means by this pid: for an `om run` the job that it watches, else the pid itself.
  pid_t resolve(pid_t pid) const;

 private:
  bool is_this_node(const std::string& control) const;

  std::string control_path_;
  bool default_node_;
};

}  // namespace om::migrator

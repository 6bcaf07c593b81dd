// SPDX-License-Identifier: Apache-2.0
//
// The process that a request on the control socket is about ("pid"): whether it exists, is one of this node's, and the
// caller may ask for this (rights.h).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "common/net/control.h"
#include "migrator/control/control_server.h"
#include "migrator/control/services.h"

namespace om::migrator {

constexpr int64_t kMaxPid = 1 << 22;
constexpr int64_t kMaxLimitMs = 24 * 3600 * 1000;  // "timeout_ms" of a request

using Answerer = ControlServer::Answerer;

// The answer to a malformed request: BAD_REQUEST, exit status 2.
Json bad_request(const Error& error);

struct Subject {
  ProcessInfo process;
  bool member = false;   // preloaded and of this node, or has a deputy
  bool readable = true;  // false: the kernel denies us access (not dumpable)
};

class Subjects {
 public:
  explicit Subjects(const Services& services) : services_(services) {}

  // To tell whether a process is one of ours, its address space must be examined, which may be large: does that off the
  // loop, and then calls `then`, which calls find(). Calls `then` before returning if there is nothing to examine.
  void look_first(const Caller& caller, const Json& request, std::function<void()> then);

  // The process that a request is about; nullopt if there is none and the request has been answered. `owner_only`: the
  // caller must be allowed to use it (Rights::may_use_process_of).
  std::optional<Subject> find(const Caller& caller, const Json& request, bool owner_only,
                              const Answerer& answer) const;

 private:
  // The answer for a pid that is not a process of ours.
  Json nobody(pid_t pid, const Error& why) const;
  Json not_ours(pid_t pid, const std::string& guest, bool owner_only) const;
  bool has_deputy(const ProcessId& process) const;
  ProcessTable::Membership membership(pid_t pid) const;

  const Services& services_;
  std::pair<pid_t, ProcessTable::Membership>
      looked_;  // result of look_first(), for the function that it calls
};

}  // namespace om::migrator

// SPDX-License-Identifier: Apache-2.0
//
// Who may do what through the control socket, decided in one place. The kernel says who a caller is: user and group by
// SO_PEERCRED, supplementary groups by SO_PEERGROUPS, both as of the time when it connected. docs/SECURITY.md has the
// table.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/net/control.h"

namespace om::migrator {

// Members administer the node.
constexpr std::string_view kAdminGroup = "om";

struct Caller {
  uid_t uid = 0;
  pid_t pid = 0;
  std::vector<gid_t> groups{};  // its group and the supplementary ones
};

// Reads who is at the other end of a connected Unix socket. Error: errno of getsockopt.
Result<Caller> read_caller(int socket);

class Rights {
 public:
  struct Settings {
    uid_t daemon = 0;             // the user that the daemon runs as
    std::optional<gid_t> admins;  // id of kAdminGroup; nullopt if this machine has no such group
    bool show_commands_to_all = true;  // show_commands = "all"
  };
  explicit Rights(const Settings& settings) : settings_(settings) {}

  // Of this process; looks up kAdminGroup, which may ask a directory service. Groups that are made later are not seen.
  static Rights of_this_daemon(bool show_commands_to_all);

  // Whether the caller may move, lock, look into and trace a process of `owner`: whoever may kill it may.
  bool may_use_process_of(const Caller& caller, uid_t owner) const;

  // Whether the caller may use the verbs that change the node or the cluster: root, the daemon's user, kAdminGroup.
  bool administers(const Caller& caller) const;
  // The answer to a caller that does not; nullopt if it does.
  std::optional<Failure> refuse_administration(const Caller& caller) const;

  // Whether the caller is shown the command lines of processes of `owner`.
  bool sees_commands_of(const Caller& caller, uid_t owner) const;

 private:
  Settings settings_;
};

}  // namespace om::migrator

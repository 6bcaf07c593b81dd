// SPDX-License-Identifier: Apache-2.0
#include "migrator/control/rights.h"

#include <errno.h>
#include <fmt/core.h>
#include <grp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>

namespace om::migrator {

Result<Caller> read_caller(int socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return errno_error("learn who a client is");
  Caller caller{credentials.uid, credentials.pid};
  // The kernel never has more than NGROUPS_MAX (65536) of them. If the room is too small, it says how much they need.
  caller.groups.resize(64);
  for (;;) {
    size = static_cast<socklen_t>(caller.groups.size() * sizeof(gid_t));
    const int status = ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, caller.groups.data(), &size);
    const size_t count = size / sizeof(gid_t);
    if (status != 0 && (errno != ERANGE || count <= caller.groups.size()))
      return errno_error("learn the groups of a client");
    caller.groups.resize(count);
    if (status == 0) break;
  }
  caller.groups.push_back(credentials.gid);
  return caller;
}

Rights Rights::of_this_daemon(bool show_commands_to_all) {
  Settings settings{::geteuid(), std::nullopt, show_commands_to_all};
  if (const group* admins = ::getgrnam(std::string(kAdminGroup).c_str()); admins != nullptr)
    settings.admins = admins->gr_gid;
  return Rights(settings);
}

bool Rights::may_use_process_of(const Caller& caller, uid_t owner) const {
  return caller.uid == 0 || caller.uid == owner;
}

bool Rights::administers(const Caller& caller) const {
  if (caller.uid == 0 || caller.uid == settings_.daemon) return true;
  return settings_.admins && std::find(caller.groups.begin(), caller.groups.end(),
                                       *settings_.admins) != caller.groups.end();
}

std::optional<Failure> Rights::refuse_administration(const Caller& caller) const {
  if (administers(caller)) return std::nullopt;
  return Failure{
      ExitCode::kPermission, ReasonCode::kPermission,
      fmt::format("only for root, the daemon's own user and members of the group {}", kAdminGroup)};
}

bool Rights::sees_commands_of(const Caller& caller, uid_t owner) const {
  return settings_.show_commands_to_all || caller.uid == owner || administers(caller);
}

}  // namespace om::migrator

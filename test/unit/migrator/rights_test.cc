// SPDX-License-Identifier: Apache-2.0
//
// migrator/control/rights.h: the table of docs/SECURITY.md, row by row, and what the kernel says about a caller.
#include "migrator/control/rights.h"

#include <doctest/doctest.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "common/base/unique_fd.h"

namespace om::migrator {
namespace {

constexpr uid_t kDaemon = 300, kOwner = 1000, kOther = 1001;
constexpr gid_t kAdmins = 77;

Caller caller_of(uid_t uid, std::vector<gid_t> groups = {}) { return {uid, 1, std::move(groups)}; }

TEST_CASE("a process is its owner's and root's") {
  const Rights rights({kDaemon, kAdmins, true});
  CHECK(rights.may_use_process_of(caller_of(kOwner), kOwner));
  CHECK(rights.may_use_process_of(caller_of(0), kOwner));
  CHECK_FALSE(rights.may_use_process_of(caller_of(kOther), kOwner));
  // Who administers the node may still not touch the processes of others.
  CHECK_FALSE(rights.may_use_process_of(caller_of(kDaemon), kOwner));
  CHECK_FALSE(rights.may_use_process_of(caller_of(kOther, {kAdmins}), kOwner));
  CHECK_FALSE(rights.may_use_process_of(caller_of(kOther, {kAdmins}), 0));
}

TEST_CASE("a node is root's, its daemon's user's and the group's") {
  const Rights rights({kDaemon, kAdmins, true});
  CHECK(rights.administers(caller_of(0)));
  CHECK(rights.administers(caller_of(kDaemon)));
  CHECK(rights.administers(caller_of(kOther, {5, kAdmins, 6})));
  CHECK_FALSE(rights.administers(caller_of(kOther)));
  CHECK_FALSE(rights.administers(caller_of(kOther, {5, 6, 0})));
  CHECK_FALSE(rights.refuse_administration(caller_of(0)).has_value());
  const auto refused = rights.refuse_administration(caller_of(kOther));
  REQUIRE(refused.has_value());
  CHECK(refused->exit == ExitCode::kPermission);
  CHECK(refused->is(ReasonCode::kPermission));
}

TEST_CASE("without the group nobody is in it") {
  const Rights rights({kDaemon, std::nullopt, true});
  CHECK_FALSE(rights.administers(caller_of(kOther, {kAdmins, 0})));
}

TEST_CASE("commands of others are shown to all, or to those who administer the node") {
  const Rights open({kDaemon, kAdmins, true});
  CHECK(open.sees_commands_of(caller_of(kOther), kOwner));
  const Rights closed({kDaemon, kAdmins, false});
  CHECK_FALSE(closed.sees_commands_of(caller_of(kOther), kOwner));
  CHECK_FALSE(closed.sees_commands_of(caller_of(kOther), 0));
  CHECK(closed.sees_commands_of(caller_of(kOwner), kOwner));
  CHECK(closed.sees_commands_of(caller_of(0), kOwner));
  CHECK(closed.sees_commands_of(caller_of(kDaemon), kOwner));
  CHECK(closed.sees_commands_of(caller_of(kOther, {kAdmins}), kOwner));
}

std::array<UniqueFd, 2> socket_pair() {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

TEST_CASE("a caller is who the kernel says") {
  const auto ends = socket_pair();
  const auto caller = read_caller(ends[0].get());
  REQUIRE(caller.ok());
  CHECK(caller->uid == ::geteuid());
  CHECK(caller->pid == ::getpid());
  std::vector<gid_t> own(static_cast<size_t>(::getgroups(0, nullptr)));
  REQUIRE(::getgroups(static_cast<int>(own.size()), own.data()) >= 0);
  own.push_back(::getegid());
  CHECK(caller->groups == own);
  CHECK_FALSE(read_caller(-1).ok());
}

// Only root may give itself groups, so a child does, and its exit status is the result.
TEST_CASE("all groups of a caller count, however many they are") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: needs root");
    return;
  }
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::vector<gid_t> many(5000);
    std::iota(many.begin(), many.end(), 100000);
    if (::setgroups(many.size(), many.data()) != 0 || ::setgid(7) != 0) ::_exit(2);
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) != 0) ::_exit(3);
    const auto caller = read_caller(ends[0]);
    many.push_back(7);
    ::_exit(caller.ok() && caller->groups == many ? 0 : 4);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace om::migrator

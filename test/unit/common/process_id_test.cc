// SPDX-License-Identifier: Apache-2.0
//
// common/proc/process_id.h: a reused pid is not the same process.
#include "common/proc/process_id.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

namespace om {
namespace {

pid_t start_sleeper() {
  pid_t pid = ::fork();
  if (pid == 0) {
    for (;;) ::pause();
  }
  return pid;
}

TEST_CASE("a process is found by pid and start time") {
  auto own = ProcessId::of(::getpid());
  REQUIRE(own.ok());
  CHECK(own->alive());
  CHECK(own->open().ok());
  ProcessId other = *own;
  other.start_ticks += 1;
  CHECK_FALSE(other.alive());
  CHECK(other.open().error().err == ESRCH);
}

TEST_CASE("the end of a process is seen, as a zombie too") {
  pid_t pid = start_sleeper();
  ProcessId child = *ProcessId::of(pid);
  UniqueFd handle = std::move(child.open()).value();
  CHECK(child.alive());
  ::kill(pid, SIGKILL);
  pollfd item{handle.get(), POLLIN, 0};
  REQUIRE(::poll(&item, 1, -1) == 1);
  CHECK_FALSE(child.alive());
  ::waitpid(pid, nullptr, 0);
  CHECK_FALSE(child.alive());
  CHECK(ProcessId::of(pid).error().err == ESRCH);
}

}  // namespace
}  // namespace om

// SPDX-License-Identifier: Apache-2.0
#include "guest/fresh_process.h"

#include <doctest/doctest.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/wait.h>

namespace om::guest {
namespace {

// A program for a launcher: it needs no arguments and ends at once.
constexpr const char* kProgram = "/bin/true";

BodyPlan plan_of(proc::Isolation isolation) {
  BodyPlan plan;
  plan.title = std::string(2 * kMaxTitle, 't');
  plan.isolation = isolation;
  return plan;
}

cpu_set_t own_cpus() {
  cpu_set_t cpus;
  REQUIRE(::sched_getaffinity(0, sizeof cpus, &cpus) == 0);
  return cpus;
}

bool has_children() { return ::waitpid(-1, nullptr, WNOHANG) >= 0 || errno != ECHILD; }

TEST_CASE("it executes the launcher once it is told to, and takes its end with it") {
  auto fresh = FreshProcess::fork(kProgram, proc::Isolation::kOff);
  REQUIRE(fresh.ok());
  auto started = fresh->become(plan_of(proc::Isolation::kOff), own_cpus());
  REQUIRE(started.ok());
  CHECK_FALSE(started->apart);
  int status = 0;
  REQUIRE(::waitpid(started->pid, &status, 0) == started->pid);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  char byte = 0;
  CHECK(::recv(started->socket.get(), &byte, 1, 0) <= 0);
}

TEST_CASE("one that is not needed is gone with its object") {
  for (const auto isolation : {proc::Isolation::kOff, proc::Isolation::kTry}) {
    {
      auto fresh = FreshProcess::fork(kProgram, isolation);
      REQUIRE(fresh.ok());
      const FreshProcess moved = std::move(*fresh);
      CHECK(has_children());
    }
    CHECK_FALSE(has_children());
  }
}

TEST_CASE("it is no other kind of process than was asked for") {
  auto fresh = FreshProcess::fork(kProgram, proc::Isolation::kOff);
  REQUIRE(fresh.ok());
  CHECK_FALSE(fresh->become(plan_of(proc::Isolation::kRequire), own_cpus()).ok());
}

}  // namespace
}  // namespace om::guest

// SPDX-License-Identifier: Apache-2.0
//
// guest/thread_numbers.h, with this process as the body.
#include "guest/thread_numbers.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "common/proc/namespaces.h"

using om::guest::ThreadNumbers;

namespace {

constexpr pid_t kNobody = 0x7ffffff0;

}  // namespace

TEST_CASE("without a namespace every number stands for itself") {
  ThreadNumbers numbers;
  CHECK(numbers.outer(::getpid(), 17) == 17);
  CHECK(numbers.outer(::getpid(), 0) == 0);
  CHECK(numbers.outer(::getpid(), -1) == 0);
  CHECK_FALSE(numbers.forget(17));
}

TEST_CASE("a thread is found by its number, also one that came later; nobody by another") {
  ThreadNumbers numbers(true);
  CHECK(numbers.outer(::getpid(), ::getpid()) == ::getpid());
  std::promise<pid_t> tid;
  std::promise<void> end;
  std::thread other([&] {
    tid.set_value(::gettid());
    end.get_future().wait();
  });
  const pid_t theirs = tid.get_future().get();
  CHECK(numbers.outer(::getpid(), theirs) == theirs);
  CHECK(numbers.outer(::getpid(), kNobody) == 0);
  end.set_value();
  other.join();
  CHECK(numbers.forget(theirs));
  CHECK_FALSE(numbers.forget(theirs));
  CHECK(numbers.outer(::getpid(), ::getpid()) == ::getpid());
}

TEST_CASE("a process that is apart has a number of its own") {
  if (const auto allowed = om::proc::try_namespaces(); !allowed) {
    MESSAGE("skipped: " << allowed.error().text());
    return;
  }
  const pid_t child = om::proc::fork_apart();
  REQUIRE(child >= 0);
  if (child == 0) {
    for (;;) ::pause();
  }
  ThreadNumbers numbers(true);
  CHECK(numbers.outer(child, 1) == child);
  CHECK(numbers.outer(child, child) == 0);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

TEST_CASE("isolation by its name") {
  using om::proc::Isolation;
  for (const Isolation i : {Isolation::kTry, Isolation::kRequire, Isolation::kOff})
    CHECK(om::proc::read_isolation(om::proc::isolation_name(i)) == i);
  CHECK_FALSE(om::proc::read_isolation("on"));
  CHECK_FALSE(om::proc::read_isolation(""));
}

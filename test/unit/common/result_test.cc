// SPDX-License-Identifier: Apache-2.0
//
// common/base/result.h and common/base/unique_fd.h.
#include "common/base/result.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <memory>
#include <string>

#include "common/base/unique_fd.h"

namespace om {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return Error{EINVAL, "halve " + std::to_string(number)};
  return number / 2;
}

Result<int> quarter(int number) { return OM_TRY(half(OM_TRY(half(number)))); }

Result<void> check_quarter(int number) {
  OM_TRY(quarter(number));
  return {};
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST_CASE("OM_TRY hands on the value or the first error") {
  CHECK(*quarter(12) == 3);
  CHECK(quarter(7).error().what == "halve 7");
  CHECK(quarter(6).error().what == "halve 3");
  CHECK(check_quarter(8).ok());
  CHECK(check_quarter(2).error().err == EINVAL);
}

TEST_CASE("an error's text names the errno, if there is one") {
  CHECK(Error{ENOENT, "open x"}.text() == "open x: No such file or directory");
  CHECK(plain_error("no peer").text() == "no peer");
  errno = EACCES;
  CHECK(errno_error("read y").err == EACCES);
}

TEST_CASE("a result can hold what only moves") {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
  std::unique_ptr<int> taken = std::move(result).value();
  CHECK(*taken == 5);
  CHECK(half(3).value_or(9) == 9);
}

TEST_CASE("a descriptor is closed once, by its last owner") {
  UniqueFd first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  int number = first.get();
  UniqueFd second(std::move(first));
  CHECK_FALSE(first.valid());
  CHECK(second.get() == number);
  {
    UniqueFd third;
    third = std::move(second);
    CHECK(is_open(number));
  }
  CHECK_FALSE(is_open(number));
}

TEST_CASE("assigning closes the old descriptor, to itself changes nothing") {
  UniqueFd one(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  UniqueFd two(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  int old = one.get();
  int kept = two.get();
  one = std::move(two);
  CHECK_FALSE(is_open(old));
  UniqueFd& alias = one;
  one = std::move(alias);
  CHECK(one.get() == kept);
  CHECK(is_open(kept));
  int released = one.release();
  CHECK(is_open(released));
  UniqueFd(released).reset();
  CHECK_FALSE(is_open(released));
}

TEST_CASE("closing leaves errno alone when asked to") {
  UniqueFd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  errno = EAGAIN;
  fd.close_signal_safe();
  CHECK(errno == EAGAIN);
  CHECK_FALSE(fd.valid());
}

TEST_CASE("a double close ends the process") {
  pid_t pid = ::fork();
  if (pid == 0) {
    UniqueFd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    UniqueFd thief(fd.get());
    thief.reset();
    fd.reset();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGABRT);
}

}  // namespace
}  // namespace om

// SPDX-License-Identifier: Apache-2.0
//
// safe/unix_fd.h over a socket pair, with a kernel that can be told to interrupt.
#include <doctest/doctest.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <deque>

#include "libom/safe/numbers.h"
#include "libom/safe/unix_fd.h"

namespace {

using namespace om;

std::deque<long> g_refusals;  // results of the next calls, which are not made

struct Pair {
  int ends[2];
  Pair() {
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
    g_refusals.clear();
  }
  ~Pair() {
    close(ends[0]);
    close(ends[1]);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
};

bool is_same_file(int a, int b) { return syscall(SYS_kcmp, getpid(), getpid(), 0, a, b) == 0; }

}  // namespace

extern "C" long om_syscall(long nr, long a, long b, long c, long d, long e, long f) {
  if (!g_refusals.empty()) {
    const long r = g_refusals.front();
    g_refusals.pop_front();
    return r;
  }
  const long r = syscall(nr, a, b, c, d, e, f);
  return r < 0 ? -errno : r;
}

TEST_CASE("a message brings a descriptor, closed at exec") {
  Pair p;
  CHECK(safe::send_with_fd(p.ends[0], "hello", 5, p.ends[0]) == 5);
  char bytes[16] = {};
  int32_t fd = -1;
  g_refusals = {-EINTR, -EINTR};
  CHECK(safe::receive_with_fd(p.ends[1], bytes, sizeof bytes, 0, fd) == 5);
  CHECK(strcmp(bytes, "hello") == 0);
  REQUIRE(fd >= 0);
  CHECK(fd != p.ends[0]);
  CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  const bool same = is_same_file(fd, p.ends[0]);
  const bool unknown = errno == ENOSYS || errno == EPERM;
  CHECK((same || unknown));
  close(fd);
}

TEST_CASE("a message without one") {
  Pair p;
  CHECK(safe::send_with_fd(p.ends[0], "hello", 5, -1) == 5);
  char bytes[4] = {};
  int32_t fd = 7;
  CHECK(safe::receive_with_fd(p.ends[1], bytes, sizeof bytes, 0, fd) == 4);  // the rest is cut off
  CHECK(memcmp(bytes, "hell", 4) == 0);
  CHECK(fd == -1);
}

TEST_CASE("none there, and the end of the connection") {
  Pair p;
  char bytes[4];
  int32_t fd = 7;
  CHECK(safe::receive_with_fd(p.ends[1], bytes, sizeof bytes, k::kMsgDontwait, fd) == -EAGAIN);
  CHECK(fd == -1);
  REQUIRE(shutdown(p.ends[0], SHUT_WR) == 0);
  CHECK(safe::receive_with_fd(p.ends[1], bytes, sizeof bytes, 0, fd) == 0);
  CHECK(fd == -1);
  REQUIRE(shutdown(p.ends[1], SHUT_RD) == 0);
  CHECK(safe::send_with_fd(p.ends[0], "x", 1, -1) == -EPIPE);
}

TEST_CASE("what else travels beside the bytes is no descriptor") {
  Pair p;
  const int on = 1;
  REQUIRE(setsockopt(p.ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
  CHECK(safe::send_with_fd(p.ends[0], "hello", 5, -1) == 5);
  char bytes[8];
  int32_t fd = 7;
  CHECK(safe::receive_with_fd(p.ends[1], bytes, sizeof bytes, 0, fd) == 5);
  CHECK(fd == -1);
}

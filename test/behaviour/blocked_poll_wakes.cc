// SPDX-License-Identifier: Apache-2.0
//
// poll() without a timeout on three descriptors is blocked across the move; exactly the right
// revents.
#include "test/lib/om_test.h"

#include <poll.h>
#include <sys/socket.h>

int main() {
  int quiet[2], used[2], closed[2];
  OM_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, quiet));
  OM_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, used));
  OM_SYS(pipe(closed));
  pid_t writer = om_test_helper([&] {
    close(closed[1]);
    OM_CHECK_EQ(write(used[1], "x", 1), 1);
  });
  OmGuardedOut<pollfd[3]> fds;
  (*fds)[0] = {quiet[0], POLLIN, 77};
  (*fds)[1] = {used[0], POLLIN | POLLPRI, 77};
  (*fds)[2] = {-1, POLLIN, 77};
  om_test_ready_blocking("poll");
  OM_CHECK_EQ(poll(*fds, 3, -1), 1);
  OM_CHECK_EQ((*fds)[0].revents, 0);
  OM_CHECK_EQ((*fds)[1].revents, POLLIN);
  OM_CHECK_EQ((*fds)[2].revents, 0);
  om_test_join(writer);
  close(closed[1]);
  pollfd hangup{closed[0], POLLIN, 0};
  OM_CHECK_EQ(poll(&hangup, 1, -1), 1);
  OM_CHECK_EQ(hangup.revents, POLLHUP);
}

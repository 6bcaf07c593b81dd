// SPDX-License-Identifier: Apache-2.0
//
// recv() on a socket with SO_RCVTIMEO is blocked across the move and gives EAGAIN, not early.
#include "test/lib/om_test.h"

#include <sys/socket.h>

int main() {
  int ends[2];
  OM_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  timeval limit{1, 300000};
  OM_SYS(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
  char c;
  om_test_ready_blocking("recvfrom");
  int64_t start = om_test_ns();
  OM_CHECK_ERRNO(recv(ends[0], &c, 1, 0), EAGAIN);
  OM_CHECK_TIME(start, 1300 * kMilli);
  om_test_wait_moved();
}

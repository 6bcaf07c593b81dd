// SPDX-License-Identifier: Apache-2.0
//
// Options set before the move read back after it, with their sizes; new ones take effect.
#include "test/lib/om_test.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

static int get(int fd, int level, int name) {
  OmGuardedOut<int> value;
  OmGuardedOut<socklen_t> bytes;
  *bytes = sizeof(int);
  OM_SYS(getsockopt(fd, level, name, &value, &bytes));
  OM_CHECK_EQ(*bytes, sizeof(int));
  return *value;
}

int main() {
  int fd = OM_SYS(socket(AF_INET, SOCK_STREAM, 0)), on = 1, size = 50000;
  OM_SYS(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
  OM_SYS(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on));
  OM_SYS(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
  OM_SYS(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size));
  linger wait{1, 7};
  OM_SYS(setsockopt(fd, SOL_SOCKET, SO_LINGER, &wait, sizeof wait));
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(get(fd, SOL_SOCKET, SO_REUSEADDR), 1);
  OM_CHECK_EQ(get(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
  OM_CHECK_EQ(get(fd, IPPROTO_TCP, TCP_NODELAY), 1);
  OM_CHECK_EQ(get(fd, SOL_SOCKET, SO_RCVBUF), 100000);
  OM_CHECK_EQ(get(fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
  OM_CHECK_EQ(get(fd, SOL_SOCKET, SO_DOMAIN), AF_INET);
  OM_CHECK_EQ(get(fd, SOL_SOCKET, SO_ERROR), 0);
  OmGuardedOut<linger> seen;
  socklen_t bytes = sizeof(linger);
  OM_SYS(getsockopt(fd, SOL_SOCKET, SO_LINGER, &seen, &bytes));
  OM_CHECK_EQ(seen->l_linger, 7);
  timeval limit{2, 500000};
  OM_SYS(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit));
  OmGuardedOut<timeval> now;
  bytes = sizeof(timeval);
  OM_SYS(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &now, &bytes));
  OM_CHECK_EQ(now->tv_sec, 2);
  OM_CHECK_EQ(now->tv_usec, 500000);
  OM_CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, 9999, &on, sizeof on), ENOPROTOOPT);
}

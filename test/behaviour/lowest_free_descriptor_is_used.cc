// SPDX-License-Identifier: Apache-2.0
//
// Every call that makes descriptors uses the lowest free numbers, unchanged by moves.
// om-points: moves
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

int main() {
  for (int i = 0; i < om_test_moves() || i == 0; ++i) {
    om_test_ready();
    om_test_wait_moved();
    int pair[2], ends[2];
    OM_CHECK_EQ(open("/dev/null", O_RDWR), 3);
    OM_CHECK_EQ(dup(0), 4);
    OM_SYS(pipe(ends));
    OM_CHECK_EQ(ends[0], 5);
    OM_CHECK_EQ(ends[1], 6);
    OM_SYS(close(4));
    OM_CHECK_EQ(socket(AF_UNIX, SOCK_STREAM, 0), 4);
    OM_SYS(close(5));
    OM_SYS(close(3));
    OM_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    OM_CHECK_EQ(pair[0], 3);
    OM_CHECK_EQ(pair[1], 5);
    OM_CHECK_EQ(eventfd(0, 0), 7);
    OM_CHECK_EQ(epoll_create1(0), 8);
    OM_CHECK_EQ(fcntl(0, F_DUPFD, 100), 100);
    OM_CHECK_EQ(dup2(0, 1023), 1023);
    for (int fd : {3, 4, 5, 6, 7, 8, 100, 1023}) OM_SYS(close(fd));
  }
}

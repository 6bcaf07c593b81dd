// SPDX-License-Identifier: Apache-2.0
//
// accept() is blocked across the move; the connection that comes afterwards works, with its
// address.
#include "test/lib/om_test.h"

#include <arpa/inet.h>
#include <sys/socket.h>

int main() {
  int listener = OM_SYS(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  socklen_t bytes = sizeof address;
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  OM_SYS(bind(listener, reinterpret_cast<sockaddr*>(&address), bytes));
  OM_SYS(listen(listener, 4));
  OM_SYS(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &bytes));
  pid_t client = om_test_helper([&] {
    int fd = OM_SYS(socket(AF_INET, SOCK_STREAM, 0));
    OM_SYS(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address));
    char c = 0;
    OM_CHECK_EQ(read(fd, &c, 1), 1);
    OM_CHECK_EQ(write(fd, &c, 1), 1);
  });
  OmGuardedOut<sockaddr_in> peer;
  OmGuardedOut<socklen_t> peer_bytes;
  *peer_bytes = sizeof(sockaddr_in);
  om_test_ready_blocking("accept");
  int fd = OM_SYS(accept(listener, reinterpret_cast<sockaddr*>(&peer), &peer_bytes));
  OM_CHECK_EQ(*peer_bytes, sizeof(sockaddr_in));
  OM_CHECK_EQ(ntohl(peer->sin_addr.s_addr), INADDR_LOOPBACK);
  char c = 'k';
  OM_CHECK_EQ(write(fd, &c, 1), 1);
  OM_CHECK_EQ(read(fd, &c, 1), 1);
  OM_CHECK_EQ(c, 'k');
  om_test_join(client);
}

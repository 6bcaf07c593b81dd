// SPDX-License-Identifier: Apache-2.0
//
// shutdown() of a TCP connection: the peer sees the end, the other direction goes on.
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
  OM_SYS(listen(listener, 1));
  OM_SYS(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &bytes));
  int client = OM_SYS(socket(AF_INET, SOCK_STREAM, 0));
  OM_SYS(connect(client, reinterpret_cast<sockaddr*>(&address), bytes));
  int server = OM_SYS(accept(listener, nullptr, nullptr));
  char c;
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(send(client, "ab", 2, 0), 2);
  OM_SYS(shutdown(client, SHUT_WR));
  OM_CHECK_ERRNO(send(client, "c", 1, MSG_NOSIGNAL), EPIPE);
  OM_CHECK_EQ(recv(server, &c, 1, 0), 1);
  OM_CHECK_EQ(recv(server, &c, 1, 0), 1);
  OM_CHECK_EQ(recv(server, &c, 1, 0), 0);
  OM_CHECK_EQ(send(server, "z", 1, 0), 1);
  OM_CHECK_EQ(recv(client, &c, 1, 0), 1);
  OM_CHECK_EQ(c, 'z');
  OM_SYS(close(server));
  OM_CHECK_EQ(recv(client, &c, 1, 0), 0);
  OM_CHECK_ERRNO(shutdown(listener + 100, SHUT_RD), EBADF);
}

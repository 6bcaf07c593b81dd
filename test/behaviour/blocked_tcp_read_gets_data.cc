// SPDX-License-Identifier: Apache-2.0
//
// read() of a TCP connection is blocked across the move.
#include "test/lib/om_test.h"

#include <arpa/inet.h>
#include <string.h>
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
  pid_t sender = om_test_helper([&] { OM_CHECK_EQ(write(client, "over tcp", 8), 8); });
  char text[64];
  om_test_ready_blocking("read");
  OM_CHECK_EQ(read(server, text, sizeof text), 8);
  OM_CHECK(memcmp(text, "over tcp", 8) == 0);
  om_test_join(sender);
  close(client);
  OM_CHECK_EQ(read(server, text, sizeof text), 0);
}

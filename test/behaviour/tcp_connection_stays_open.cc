// SPDX-License-Identifier: Apache-2.0
//
// A TCP connection to another process echoes every byte before and after the move; addresses are
// kept.
#include "test/lib/om_test.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

static void exchange(int fd, int rounds) {
  char out[1000], in[1000];
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < sizeof out; ++i)
      out[i] = static_cast<char>(round * 7 + static_cast<int>(i));
    OM_CHECK_EQ(send(fd, out, sizeof out, 0), 1000);
    OM_CHECK_EQ(recv(fd, in, sizeof in, MSG_WAITALL), 1000);
    OM_CHECK(memcmp(in, out, sizeof out) == 0);
  }
}

int main() {
  int listener = OM_SYS(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{}, now{};
  socklen_t bytes = sizeof address;
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  OM_SYS(bind(listener, reinterpret_cast<sockaddr*>(&address), bytes));
  OM_SYS(listen(listener, 1));
  OM_SYS(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &bytes));
  pid_t server = OM_SYS(fork());
  if (server == 0) {
    int peer = OM_SYS(accept(listener, nullptr, nullptr));
    char data[4096];
    for (ssize_t got = 0; (got = recv(peer, data, sizeof data, 0)) > 0;) {
      OM_CHECK_EQ(send(peer, data, static_cast<size_t>(got), 0), got);
    }
    _exit(0);
  }
  int fd = OM_SYS(socket(AF_INET, SOCK_STREAM, 0));
  OM_SYS(connect(fd, reinterpret_cast<sockaddr*>(&address), bytes));
  exchange(fd, 20);
  om_test_ready();
  exchange(fd, 50);
  om_test_wait_moved();
  exchange(fd, 100);
  OM_SYS(getpeername(fd, reinterpret_cast<sockaddr*>(&now), &bytes));
  OM_CHECK_EQ(now.sin_port, address.sin_port);
  close(fd);
  om_test_join(server);
}

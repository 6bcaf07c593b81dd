// SPDX-License-Identifier: Apache-2.0
//
// A unix stream server that was listening before the move serves a client afterwards, which it
// knows by SO_PEERCRED; abstract names work too.
#include "test/lib/om_test.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "om-behaviour-%d", getpid());
  socklen_t bytes =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + strlen(address.sun_path + 1));
  int listener = OM_SYS(socket(AF_UNIX, SOCK_STREAM, 0));
  OM_SYS(bind(listener, reinterpret_cast<sockaddr*>(&address), bytes));
  OM_SYS(listen(listener, 5));
  pid_t client = om_test_helper([&] {
    int fd = OM_SYS(socket(AF_UNIX, SOCK_STREAM, 0));
    OM_SYS(connect(fd, reinterpret_cast<sockaddr*>(&address), bytes));
    char c = 0;
    for (int i = 0; i < 100; ++i) {
      char sent = static_cast<char>(i);
      OM_CHECK_EQ(write(fd, &sent, 1), 1);
      OM_CHECK_EQ(read(fd, &c, 1), 1);
      OM_CHECK_EQ(c, i + 1);
    }
  });
  om_test_ready_blocking("accept4");
  int fd = OM_SYS(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  OmGuardedOut<ucred> peer;
  socklen_t size = sizeof(ucred);
  OM_SYS(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size));
  OM_CHECK_EQ(peer->pid, client);
  OM_CHECK_EQ(peer->uid, getuid());
  char c = 0;
  while (read(fd, &c, 1) == 1) {
    ++c;
    OM_CHECK_EQ(write(fd, &c, 1), 1);
  }
  om_test_join(client);
}

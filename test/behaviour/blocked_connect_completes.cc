// SPDX-License-Identifier: Apache-2.0
//
// connect() to a unix socket whose backlog is full is blocked across the move and completes.
#include "test/lib/om_test.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

int main() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path, sizeof address.sun_path, "full.sock");
  auto* where = reinterpret_cast<sockaddr*>(&address);
  int listener = OM_SYS(socket(AF_UNIX, SOCK_STREAM, 0));
  OM_SYS(bind(listener, where, sizeof address));
  OM_SYS(listen(listener, 0));
  int first = OM_SYS(socket(AF_UNIX, SOCK_STREAM, 0));
  OM_SYS(connect(first, where, sizeof address));
  pid_t server = om_test_helper([&] {
    for (const char* text : {"1", "2"}) {
      int fd = OM_SYS(accept(listener, nullptr, nullptr));
      OM_CHECK_EQ(write(fd, text, 1), 1);
    }
  });
  int second = OM_SYS(socket(AF_UNIX, SOCK_STREAM, 0));
  om_test_ready_blocking("connect");
  OM_CHECK_EQ(connect(second, where, sizeof address), 0);
  char c = 0;
  OM_CHECK_EQ(read(second, &c, 1), 1);
  OM_CHECK_EQ(c, '2');
  om_test_join(server);
  OM_SYS(unlink("full.sock"));
}

// SPDX-License-Identifier: Apache-2.0
//
// A non-blocking connect after the move: EINPROGRESS or done, then writable with SO_ERROR 0; to a
// closed port it ends with ECONNREFUSED.
#include "test/lib/om_test.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

static int connect_result(const sockaddr_in& to) {
  int fd = OM_SYS(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 && errno != EINPROGRESS) {
    return errno;
  }
  pollfd one{fd, POLLOUT, 0};
  OM_CHECK_EQ(poll(&one, 1, 20000), 1);
  int error = -1;
  socklen_t bytes = sizeof error;
  OM_SYS(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes));
  close(fd);
  return error;
}

int main() {
  int listener = OM_SYS(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  socklen_t bytes = sizeof address;
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  OM_SYS(bind(listener, reinterpret_cast<sockaddr*>(&address), bytes));
  OM_SYS(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &bytes));
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(connect_result(address), ECONNREFUSED);
  OM_SYS(listen(listener, 3));
  OM_CHECK_EQ(connect_result(address), 0);
  int fd = OM_SYS(accept4(listener, nullptr, nullptr, SOCK_NONBLOCK));
  char c;
  OM_CHECK_EQ(recv(fd, &c, 1, 0) <= 0, true);
}

// SPDX-License-Identifier: Apache-2.0
//
// The length word of a socket address or option is an int: a negative one is EINVAL, not a large buffer.
#include "test/lib/om_test.h"

#include <arpa/inet.h>
#include <sys/socket.h>

static socklen_t negative() { return static_cast<socklen_t>(-1); }

int main() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  const int listener = OM_SYS(socket(AF_INET, SOCK_STREAM, 0));
  OM_SYS(bind(listener, any, size));
  OM_SYS(listen(listener, 4));
  OM_SYS(getsockname(listener, any, &size));
  const int client = OM_SYS(socket(AF_INET, SOCK_STREAM, 0));
  OM_SYS(connect(client, any, size));
  int pair[2];
  OM_SYS(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
  OM_SYS(send(pair[0], "x", 1, 0));
  om_test_ready();
  om_test_wait_moved();
  const auto invalid = [](long result) {
    OM_CHECK_EQ(result, -1);
    OM_CHECK_EQ(errno, EINVAL);
  };
  socklen_t length = negative();
  invalid(getsockname(client, any, &length));
  OM_CHECK_EQ(length, negative());
  invalid(getpeername(client, any, &length));
  int value = 0;
  invalid(getsockopt(client, SOL_SOCKET, SO_TYPE, &value, &length));
  char byte;
  invalid(recvfrom(pair[1], &byte, 1, 0, any, &length));
  invalid(accept(listener, any, &length));
  length = negative();  // not looked at without an address
  OM_CHECK_EQ(recvfrom(pair[1], &byte, 1, MSG_DONTWAIT, nullptr, &length), -1);
  OM_CHECK_EQ(errno, EAGAIN);
}

// SPDX-License-Identifier: Apache-2.0
//
// UDP datagrams keep bounds, order (on loopback) and sender; a small buffer truncates; connect()
// filters.
#include "test/lib/om_test.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

static int bound(sockaddr_in* address) {
  int fd = OM_SYS(socket(AF_INET, SOCK_DGRAM, 0));
  socklen_t bytes = sizeof *address;
  *address = {};
  address->sin_family = AF_INET;
  address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  OM_SYS(bind(fd, reinterpret_cast<sockaddr*>(address), bytes));
  OM_SYS(getsockname(fd, reinterpret_cast<sockaddr*>(address), &bytes));
  return fd;
}

int main() {
  sockaddr_in here{}, there{};
  int in = bound(&here), out = bound(&there);
  auto* to = reinterpret_cast<sockaddr*>(&here);
  OM_CHECK_EQ(sendto(out, "queued before", 13, 0, to, sizeof here), 13);
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(sendto(out, "sent after", 10, 0, to, sizeof here), 10);
  OM_CHECK_EQ(sendto(out, "", 0, 0, to, sizeof here), 0);
  OM_CHECK_EQ(sendto(out, "longer than the buffer", 22, 0, to, sizeof here), 22);
  OmGuarded text(13);
  OmGuardedOut<sockaddr_in> sender;
  socklen_t bytes = sizeof(sockaddr_in);
  OM_CHECK_EQ(recvfrom(in, text.data(), 13, 0, reinterpret_cast<sockaddr*>(&sender), &bytes), 13);
  OM_CHECK(memcmp(text.data(), "queued before", 13) == 0);
  OM_CHECK_EQ(sender->sin_port, there.sin_port);
  OM_CHECK_EQ(bytes, sizeof(sockaddr_in));
  OM_CHECK_EQ(recv(in, text.data(), 13, MSG_PEEK), 10);
  OM_CHECK_EQ(recv(in, text.data(), 13, 0), 10);
  OM_CHECK_EQ(recv(in, text.data(), 13, 0), 0);
  OM_CHECK_EQ(recv(in, text.data(), 13, MSG_TRUNC), 22);
  OM_CHECK_ERRNO(recv(in, text.data(), 13, MSG_DONTWAIT), EAGAIN);
  OM_SYS(connect(out, to, sizeof here));
  OM_CHECK_EQ(send(out, "x", 1, 0), 1);
  OM_CHECK_EQ(recv(in, text.data(), 13, 0), 1);
}

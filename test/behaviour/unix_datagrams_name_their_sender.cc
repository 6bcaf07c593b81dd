// SPDX-License-Identifier: Apache-2.0
//
// Unix datagram sockets bound to names: addresses, truncation by MSG_TRUNC, and a full queue.
#include "test/lib/om_test.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static int bound(const char* name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
  int fd = OM_SYS(socket(AF_UNIX, SOCK_DGRAM, 0));
  OM_SYS(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address));
  return fd;
}

int main() {
  int in = bound("in.sock");
  om_test_ready();
  om_test_wait_moved();
  int out = bound("out.sock");
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  snprintf(to.sun_path, sizeof to.sun_path, "in.sock");
  OM_CHECK_EQ(sendto(out, "hello", 5, 0, reinterpret_cast<sockaddr*>(&to), sizeof to), 5);
  OmGuarded text(4);
  OmGuardedOut<sockaddr_un> from;
  iovec part{text.data(), 4};
  msghdr message{};
  message.msg_name = &from;
  message.msg_namelen = sizeof(sockaddr_un);
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  OM_CHECK_EQ(recvmsg(in, &message, 0), 4);
  OM_CHECK_EQ(message.msg_flags & MSG_TRUNC, MSG_TRUNC);
  OM_CHECK_EQ(from->sun_path, "out.sock");
  OM_SYS(connect(out, reinterpret_cast<sockaddr*>(&to), sizeof to));
  int sent = 0;
  while (send(out, "x", 1, MSG_DONTWAIT) == 1) ++sent;
  OM_CHECK_EQ(errno, EAGAIN);
  for (int i = 0; i < sent; ++i) OM_CHECK_EQ(recv(in, text.data(), 4, MSG_DONTWAIT), 1);
  OM_CHECK_ERRNO(recv(in, text.data(), 4, MSG_DONTWAIT), EAGAIN);
  OM_SYS(unlink("in.sock"));
  OM_SYS(unlink("out.sock"));
}

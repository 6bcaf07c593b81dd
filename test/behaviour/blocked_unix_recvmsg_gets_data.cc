// SPDX-License-Identifier: Apache-2.0
//
// recvmsg() into two buffers of a unix socket is blocked across the move.
#include "test/lib/om_test.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

int main() {
  int ends[2];
  OM_SYS(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends));
  pid_t sender = om_test_helper([&] { OM_CHECK_EQ(send(ends[1], "0123456789", 10, 0), 10); });
  OmGuarded head(4), tail(20);
  iovec parts[2] = {{head.data(), 4}, {tail.data(), 20}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  om_test_ready_blocking("recvmsg");
  OM_CHECK_EQ(recvmsg(ends[0], &message, 0), 10);
  OM_CHECK(memcmp(head.data(), "0123", 4) == 0);
  OM_CHECK(memcmp(tail.data(), "456789", 6) == 0);
  OM_CHECK_EQ(message.msg_flags & MSG_TRUNC, 0);
  om_test_join(sender);
}

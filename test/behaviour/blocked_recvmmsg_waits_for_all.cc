// SPDX-License-Identifier: Apache-2.0
//
// recvmmsg() for three datagrams that has got the first is blocked across the move and returns with all three; the
// socket has no error afterwards.
#include "test/lib/om_test.h"

#include <string.h>
#include <sys/socket.h>

int main() {
  int ends[2];
  OM_SYS(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends));
  pid_t sender = om_test_helper([&] {
    OM_CHECK_EQ(send(ends[1], "bb", 2, 0), 2);
    OM_CHECK_EQ(send(ends[1], "ccc", 3, 0), 3);
  });
  char text[3][8] = {};
  iovec parts[3];
  mmsghdr messages[3] = {};
  for (size_t i = 0; i < 3; ++i) {
    parts[i] = {text[i], sizeof text[i]};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  OM_CHECK_EQ(send(ends[1], "a", 1, 0), 1);
  timespec limit{1000, 0};
  om_test_ready_blocking("recvmmsg");
  OM_CHECK_EQ(recvmmsg(ends[0], messages, 3, 0, &limit), 3);
  OM_CHECK(limit.tv_sec > 800 && limit.tv_sec < 1000);
  for (size_t i = 0; i < 3; ++i) {
    OM_CHECK_EQ(messages[i].msg_len, i + 1);
    OM_CHECK_EQ(strlen(text[i]), i + 1);
  }
  om_test_wait_moved();
  int error = -1;
  socklen_t size = sizeof error;
  OM_SYS(getsockopt(ends[0], SOL_SOCKET, SO_ERROR, &error, &size));
  OM_CHECK_EQ(error, 0);
  OM_CHECK_ERRNO(recv(ends[0], text[0], 1, MSG_DONTWAIT), EAGAIN);
  om_test_join(sender);
}

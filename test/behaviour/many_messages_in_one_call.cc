// SPDX-License-Identifier: Apache-2.0
//
// sendmmsg and recvmmsg move several datagrams at once and fill every length.
#include "test/lib/om_test.h"

#include <string.h>
#include <sys/socket.h>

int main() {
  int ends[2];
  OM_SYS(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends));
  om_test_ready();
  om_test_wait_moved();
  mmsghdr messages[5] = {};
  iovec parts[5];
  char text[5][16] = {"a", "bb", "ccc", "dddd", "eeeee"};
  for (size_t i = 0; i < 5; ++i) {
    parts[i] = {text[i], i + 1};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  OM_CHECK_EQ(sendmmsg(ends[0], messages, 5, 0), 5);
  for (size_t i = 0; i < 5; ++i) OM_CHECK_EQ(messages[i].msg_len, i + 1);
  memset(text, 0, sizeof text);
  for (size_t i = 0; i < 5; ++i) {
    parts[i].iov_len = sizeof text[i];
    messages[i].msg_len = 99;
  }
  OM_CHECK_EQ(recvmmsg(ends[1], messages, 5, MSG_DONTWAIT, nullptr), 5);
  for (size_t i = 0; i < 5; ++i) {
    OM_CHECK_EQ(messages[i].msg_len, i + 1);
    OM_CHECK_EQ(strlen(text[i]), i + 1);
  }
  OM_CHECK_ERRNO(recvmmsg(ends[1], messages, 5, MSG_DONTWAIT, nullptr), EAGAIN);
}

// SPDX-License-Identifier: Apache-2.0
//
// recvmmsg writes back what is left of its timeout, fills lengths and names against a guard page, and a second call
// takes what is still there.
#include "test/lib/om_test.h"

#include <string.h>
#include <sys/socket.h>

int main() {
  int ends[2];
  OM_SYS(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends));
  for (int i = 0; i < 3; ++i) OM_CHECK_EQ(send(ends[0], "text", 4, 0), 4);
  om_test_ready();
  om_test_wait_moved();
  OmGuarded texts(2 * 4), vector(2 * sizeof(mmsghdr));
  auto* messages = vector.as<mmsghdr>();
  memset(messages, 0, 2 * sizeof(mmsghdr));
  iovec parts[2] = {{texts.data(), 4}, {texts.data() + 4, 4}};
  for (int i = 0; i < 2; ++i) {
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  OmGuardedOut<timespec> limit;
  limit->tv_sec = 60;
  OM_CHECK_EQ(recvmmsg(ends[1], messages, 2, 0, &limit), 2);
  OM_CHECK(limit->tv_sec < 60 && limit->tv_nsec > 0);
  OM_CHECK(messages[0].msg_len == 4 && messages[1].msg_len == 4);
  OM_CHECK(memcmp(texts.data(), "texttext", 8) == 0);
  limit->tv_sec = 50;
  limit->tv_nsec = 0;
  OM_CHECK_EQ(recvmmsg(ends[1], messages, 2, MSG_WAITFORONE, &limit), 1);
  OM_CHECK(limit->tv_sec < 50);
  limit->tv_nsec = 5;
  OM_CHECK_ERRNO(recvmmsg(ends[1], messages, 2, MSG_DONTWAIT, &limit), EAGAIN);
  OM_CHECK_EQ(limit->tv_nsec, 5);
}

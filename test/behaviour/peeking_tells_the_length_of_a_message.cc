// SPDX-License-Identifier: Apache-2.0
//
// recvmsg() without room and with MSG_PEEK | MSG_TRUNC tells the length of the next message and leaves it there: of a
// datagram and of what the kernel sends by netlink.
#include "test/lib/om_test.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

// The length of the next message, which is then read.
static ssize_t peek_and_read(int fd, char* room, size_t bytes) {
  iovec none{nullptr, 0}, all{room, bytes};
  msghdr message{};
  message.msg_iov = &none;
  message.msg_iovlen = 1;
  const ssize_t told = recvmsg(fd, &message, MSG_PEEK | MSG_TRUNC);
  OM_CHECK(message.msg_flags & MSG_TRUNC);
  message.msg_iov = &all;
  OM_CHECK_EQ(recvmsg(fd, &message, 0), told);
  return told;
}

static void links(int route) {
  struct {
    nlmsghdr head;
    rtgenmsg about;
  } ask{};
  ask.head.nlmsg_len = NLMSG_LENGTH(sizeof ask.about);
  ask.head.nlmsg_type = RTM_GETLINK;
  ask.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  OM_SYS(sendto(route, &ask, ask.head.nlmsg_len, 0, reinterpret_cast<sockaddr*>(&kernel),
                sizeof kernel));
  static char s_room[65536];
  for (bool done = false; !done;) {
    auto left = static_cast<uint32_t>(peek_and_read(route, s_room, sizeof s_room));
    for (auto* item = reinterpret_cast<nlmsghdr*>(s_room); NLMSG_OK(item, left);
         item = NLMSG_NEXT(item, left))
      done = done || item->nlmsg_type == NLMSG_DONE;
  }
}

int main() {
  int ends[2];
  OM_SYS(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends));
  const int route = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  if (route < 0) om_test_skip("no netlink sockets");
  OM_CHECK_EQ(write(ends[0], "before the move", 15), 15);
  links(route);
  om_test_ready();
  om_test_wait_moved();
  char text[32];
  OM_CHECK_EQ(peek_and_read(ends[1], text, sizeof text), 15);
  OM_CHECK_EQ(write(ends[0], "after", 5), 5);
  OM_CHECK_EQ(peek_and_read(ends[1], text, sizeof text), 5);
  links(route);
}

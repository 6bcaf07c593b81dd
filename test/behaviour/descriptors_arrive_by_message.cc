// SPDX-License-Identifier: Apache-2.0
//
// SCM_RIGHTS from another process after the move: the descriptors get the lowest numbers and work;
// a small control buffer truncates.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

static void send_two(int socket, int first, int second) {
  char control[CMSG_SPACE(2 * sizeof(int))] = {};
  char byte = 'f';
  iovec part{&byte, 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(2 * sizeof(int));
  int fds[2] = {first, second};
  memcpy(CMSG_DATA(header), fds, sizeof fds);
  OM_CHECK_EQ(sendmsg(socket, &message, 0), 1);
}

int main() {
  int ends[2];
  OM_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  pid_t sender = om_test_helper([&] {
    int data[2];
    OM_SYS(pipe(data));
    OM_CHECK_EQ(write(data[1], "through", 7), 7);
    send_two(ends[1], data[0], data[1]);
    send_two(ends[1], data[0], data[1]);
  });
  om_test_ready();
  om_test_wait_moved();
  int lowest = OM_SYS(dup(0));
  close(lowest);
  OmGuarded control(CMSG_SPACE(2 * sizeof(int))), byte(1);
  iovec part{byte.data(), 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = CMSG_SPACE(2 * sizeof(int));
  OM_CHECK_EQ(recvmsg(ends[0], &message, MSG_CMSG_CLOEXEC), 1);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  OM_CHECK(header != nullptr && header->cmsg_type == SCM_RIGHTS);
  OM_CHECK_EQ(header->cmsg_len, CMSG_LEN(2 * sizeof(int)));
  int fds[2];
  memcpy(fds, CMSG_DATA(header), sizeof fds);
  OM_CHECK_EQ(fds[0], lowest);
  OM_CHECK_EQ(fcntl(fds[1], F_GETFD), FD_CLOEXEC);
  char text[16];
  OM_CHECK_EQ(read(fds[0], text, sizeof text), 7);
  message.msg_controllen = CMSG_LEN(sizeof(int));
  OM_CHECK_EQ(recvmsg(ends[0], &message, 0), 1);
  OM_CHECK_EQ(message.msg_flags & MSG_CTRUNC, MSG_CTRUNC);
  om_test_join(sender);
}

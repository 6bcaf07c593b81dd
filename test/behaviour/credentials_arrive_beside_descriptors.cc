// SPDX-License-Identifier: Apache-2.0
//
// A message to a socket with SO_PASSCRED brings the sender's ids and the descriptor that is sent with it, both, and the
// pid is the program's, wherever it was sent and received.
#include "test/lib/om_test.h"

#include <string.h>
#include <sys/socket.h>

static void pass(const int (&ends)[2]) {
  int pipe_ends[2];
  OM_SYS(pipe(pipe_ends));
  char byte = 'x', control[CMSG_SPACE(sizeof(int))] = {};
  iovec part{&byte, 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* item = CMSG_FIRSTHDR(&message);
  item->cmsg_level = SOL_SOCKET;
  item->cmsg_type = SCM_RIGHTS;
  item->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(item), &pipe_ends[1], sizeof(int));
  OM_CHECK_EQ(sendmsg(ends[0], &message, 0), 1);

  OmGuarded room(CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(ucred)));
  message.msg_control = room.data();
  message.msg_controllen = CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(ucred));
  OM_CHECK_EQ(recvmsg(ends[1], &message, 0), 1);
  OM_CHECK_EQ(message.msg_flags & MSG_CTRUNC, 0);
  int found = 0, fd = -1;
  for (item = CMSG_FIRSTHDR(&message); item != nullptr; item = CMSG_NXTHDR(&message, item)) {
    ucred ids{};
    if (item->cmsg_type == SCM_RIGHTS) memcpy(&fd, CMSG_DATA(item), sizeof fd);
    if (item->cmsg_type != SCM_CREDENTIALS) continue;
    memcpy(&ids, CMSG_DATA(item), sizeof ids);
    OM_CHECK_EQ(ids.pid, getpid());
    OM_CHECK_EQ(ids.uid, geteuid());
    ++found;
  }
  OM_CHECK_EQ(found, 1);
  OM_CHECK_EQ(write(fd, "y", 1), 1);
  OM_CHECK_EQ(read(pipe_ends[0], &byte, 1), 1);
  OM_CHECK_EQ(byte, 'y');
  for (int one : {fd, pipe_ends[0], pipe_ends[1]}) OM_SYS(close(one));
}

int main() {
  int ends[2];
  const int on = 1;
  OM_SYS(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends));
  OM_SYS(setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
  pass(ends);
  om_test_ready();
  om_test_wait_moved();
  for (int i = 0; i < 3; ++i) pass(ends);
}

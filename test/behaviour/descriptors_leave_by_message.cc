// SPDX-License-Identifier: Apache-2.0
//
// SCM_RIGHTS and SCM_CREDENTIALS sent after the move: the receiver gets the file behind the number,
// with its offset, and the sender's ids.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

int main() {
  int ends[2], on = 1;
  OM_SYS(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends));
  OM_SYS(setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
  pid_t parent = getpid();
  pid_t receiver = om_test_helper([&] {
    char control[256] = {}, byte = 0;
    iovec part{&byte, 1};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    OM_CHECK_EQ(recvmsg(ends[1], &message, 0), 1);
    int seen = 0;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header;
         header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_type == SCM_CREDENTIALS) {
        ucred who{};
        memcpy(&who, CMSG_DATA(header), sizeof who);
        OM_CHECK_EQ(who.pid, parent);
        seen |= 1;
      } else if (header->cmsg_type == SCM_RIGHTS) {
        int fd = -1;
        memcpy(&fd, CMSG_DATA(header), sizeof fd);
        char text[8] = {};
        OM_CHECK_EQ(read(fd, text, sizeof text), 4);
        OM_CHECK(memcmp(text, "tail", 4) == 0);
        seen |= 2;
      }
    }
    OM_CHECK_EQ(seen, 3);
  });
  om_test_ready();
  om_test_wait_moved();
  int file = OM_SYS(open("data", O_RDWR | O_CREAT, 0600));
  OM_CHECK_EQ(write(file, "head tail", 9), 9);
  OM_CHECK_EQ(lseek(file, 5, SEEK_SET), 5);
  char control[CMSG_SPACE(sizeof(int))] = {}, byte = 1;
  iovec part{&byte, 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &file, sizeof file);
  OM_CHECK_EQ(sendmsg(ends[0], &message, 0), 1);
  om_test_join(receiver);
  OM_CHECK_EQ(lseek(file, 0, SEEK_CUR), 9);
}

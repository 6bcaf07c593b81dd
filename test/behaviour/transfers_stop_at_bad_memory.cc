// SPDX-License-Identifier: Apache-2.0
//
// Transfers whose memory ends too early do what a kernel does: files take what can be read, the rest of a pipe is
// still there afterwards, messages with a bad part are not sent. Results, printed, are the same as natively.
// om-points: each
// om-limit: 150
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

static char* end;  // of readable memory

static void move() {
  fflush(stdout);
  om_test_ready();
  om_test_wait_moved();
}

static void report(const char* what, ssize_t result) {
  if (result < 0) printf("%s: %s\n", what, strerrorname_np(errno));
  if (result >= 0) printf("%s: %zd\n", what, result);
}

int main() {
  void* map =
      OM_SYS(mmap(nullptr, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  end = static_cast<char*>(map) + 8192;
  OM_SYS(mprotect(end, 4096, PROT_NONE));
  memset(end - 8192, 'm', 8192);
  int file = OM_SYS(open("file", O_RDWR | O_CREAT, 0600)), ends[2], stream[2], packets[2];
  OM_SYS(pipe(ends));
  OM_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, stream));
  OM_SYS(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, packets));
  char data[8192];
  memset(data, 'd', sizeof data);

  move();
  report("write to a file", write(file, end - 5000, 6000));
  move();
  OM_CHECK_EQ(pwrite(file, data, 8192, 0), 8192);
  report("read of a file", pread(file, end - 10, 4096, 0));
  move();
  iovec parts[3] = {{end - 100, 100}, {end, 50}, {end - 50, 50}};
  report("writev to a file", pwritev(file, parts, 3, 0));
  move();
  report("readv of a file", preadv(file, parts, 3, 0));
  move();
  OM_CHECK_EQ(write(ends[1], data, 8192), 8192);
  report("read of a pipe", read(ends[0], end - 4096, 8192));
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  report("the rest of it", read(ends[0], data, 8192));
  move();
  report("write to a pipe", write(ends[1], end - 3, 4));
  report("what came", read(ends[0], data, 8192));
  move();
  report("send to a stream", send(stream[0], end - 4000, 4100, 0));
  report("what came", recv(stream[1], data, sizeof data, MSG_DONTWAIT));
  move();
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  report("sendmsg of a datagram", sendmsg(packets[0], &message, 0));
  report("what came", recv(packets[1], data, sizeof data, MSG_DONTWAIT));
  move();
  OM_CHECK_EQ(send(packets[0], data, 300, 0), 300);
  report("recv of a datagram", recv(packets[1], end - 10, 300, 0));
  report("what is left", recv(packets[1], data, sizeof data, MSG_DONTWAIT));
  move();
  // Waiting calls: where the answer is written does not exist.
  siginfo_t info;
  report("waitid without children", waitid(P_ALL, 0, reinterpret_cast<siginfo_t*>(end), WEXITED));
  pid_t child = static_cast<pid_t>(OM_SYS(fork()));
  if (child == 0) _exit(3);
  OM_SYS(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT));
  move();
  report("wait4 with a bad status",
         waitpid(child, reinterpret_cast<int*>(end), 0) == child ? 0 : -1);
  report("the child afterwards", waitpid(child, nullptr, 0) == child ? 0 : -1);
  move();
  OM_CHECK_EQ(send(packets[0], data, 30, 0), 30);
  socklen_t length = 100;
  auto* bad_name = reinterpret_cast<sockaddr*>(end);
  report("recvfrom with a bad name", recvfrom(packets[1], data, 100, 0, bad_name, &length));
  auto* name = reinterpret_cast<sockaddr*>(&info);
  auto* bad_length = reinterpret_cast<socklen_t*>(end);
  report("recvfrom with a bad length", recvfrom(packets[1], data, 100, 0, name, bad_length));
  OM_SYS(unlink("file"));
}

// SPDX-License-Identifier: Apache-2.0
//
// 40 MiB through blocking stream sockets and pipes by one call each: send, write, writev, sendmsg give the whole
// count, and so do recv and recvmsg with MSG_WAITALL. What does not wait transfers what there is room for.
// om-limit: 120
// om-transient: IN_CALL
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

constexpr size_t kBytes = 40 << 20;

static void drain(int fd, size_t bytes) {
  static char buffer[1 << 20];
  while (bytes > 0) {
    const ssize_t n = OM_SYS(read(fd, buffer, bytes < sizeof buffer ? bytes : sizeof buffer));
    OM_CHECK(n > 0);
    for (ssize_t i = 0; i < n; i += 4096) OM_CHECK_EQ(buffer[i], 'd');
    bytes -= static_cast<size_t>(n);
  }
}

static void feed(int fd, size_t bytes) {
  static char buffer[1 << 20];
  memset(buffer, 'f', sizeof buffer);
  while (bytes > 0) {
    const size_t n = bytes < sizeof buffer ? bytes : sizeof buffer;
    bytes -= static_cast<size_t>(OM_SYS(write(fd, buffer, n)));
  }
}

int main() {
  int out[2], in[2], ends[2];
  OM_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, out));
  OM_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, in));
  OM_SYS(pipe(ends));
  auto* data = static_cast<char*>(malloc(kBytes));
  memset(data, 'd', kBytes);
  pid_t reader = om_test_helper([&] { drain(out[1], 4 * kBytes); });
  pid_t piped = om_test_helper([&] { drain(ends[0], 2 * kBytes); });
  pid_t writer = om_test_helper([&] { feed(in[1], 2 * kBytes); });
  om_test_ready();
  om_test_wait_moved();
  iovec parts[2] = {{data, 3}, {data + 3, kBytes - 3}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  OM_CHECK_EQ(send(out[0], data, kBytes, MSG_NOSIGNAL), kBytes);
  OM_CHECK_EQ(write(out[0], data, kBytes), kBytes);
  OM_CHECK_EQ(writev(out[0], parts, 2), kBytes);
  OM_CHECK_EQ(sendmsg(out[0], &message, 0), kBytes);
  om_test_join(reader);
  OM_CHECK_EQ(write(ends[1], data, kBytes), kBytes);
  OM_CHECK_EQ(writev(ends[1], parts, 2), kBytes);
  om_test_join(piped);

  OM_CHECK_EQ(recv(in[0], data, kBytes, MSG_WAITALL), kBytes);
  OM_CHECK(data[0] == 'f' && data[kBytes / 2] == 'f' && data[kBytes - 1] == 'f');
  memset(data, 0, kBytes);
  OM_CHECK_EQ(recvmsg(in[0], &message, MSG_WAITALL), kBytes);
  OM_CHECK(data[0] == 'f' && data[kBytes / 2] == 'f' && data[kBytes - 1] == 'f');
  om_test_join(writer);

  // The other side is full at some point below 16 MiB, and then there is that much to be read.
  const ssize_t some = OM_SYS(send(out[0], data, kBytes, MSG_DONTWAIT));
  OM_CHECK(some > 0 && some < (16 << 20));
  OM_CHECK_ERRNO(send(out[0], data, kBytes, MSG_DONTWAIT), EAGAIN);
  ssize_t got = 0;
  while (got < some) got += OM_SYS(recv(out[1], data, kBytes, 0));
  OM_CHECK_EQ(got, some);
  OM_CHECK_ERRNO(recv(out[1], data, kBytes, MSG_DONTWAIT), EAGAIN);
}

// SPDX-License-Identifier: Apache-2.0
//
// recvmmsg() of many datagrams with little room for names: the kernel stores what fits and says how long each
// name is.
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "test/lib/om_test.h"

int main() {
  constexpr int kMessages = 64, kBytes = 272;
  sockaddr_un from{}, to{};
  from.sun_family = to.sun_family = AF_UNIX;
  memset(from.sun_path, 'n', 100);
  strcpy(to.sun_path, "to");
  const int out = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0),
            in = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  OM_SYS(bind(out, reinterpret_cast<sockaddr*>(&from), 2 + 100));
  OM_SYS(bind(in, reinterpret_cast<sockaddr*>(&to), sizeof to));
  om_test_ready();
  om_test_wait_moved();
  static char data[kMessages][kBytes], names[kMessages][8];
  mmsghdr messages[kMessages] = {};
  iovec iov[kMessages];
  int got = 0;
  while (got < kMessages) {
    // As many as the socket's queue takes.
    char text[kBytes];
    memset(text, 'a' + got % 26, sizeof text);
    while (sendto(out, text, sizeof text, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&to),
                  sizeof to) > 0) {
    }
    for (int i = 0; i < kMessages; i++) {
      iov[i] = {data[i], kBytes};
      memset(names[i], 'x', 8);
      messages[i].msg_hdr = {names[i], 1, &iov[i], 1, nullptr, 0, 0};
    }
    const int n = recvmmsg(in, messages, kMessages, MSG_DONTWAIT, nullptr);
    OM_CHECK(n > 0);
    for (int i = 0; i < n; i++) {
      OM_CHECK_EQ(messages[i].msg_len, kBytes);
      OM_CHECK(messages[i].msg_hdr.msg_namelen >= 102u);
      OM_CHECK_EQ(names[i][0], AF_UNIX);
      OM_CHECK_EQ(names[i][1], 'x');
      OM_CHECK_EQ(data[i][kBytes - 1], 'a' + got % 26);
    }
    got += n;
  }
  puts("all");
}

// SPDX-License-Identifier: Apache-2.0
//
// recv(MSG_WAITALL) has got a part before the move and returns the whole after it, not a short
// count.
#include "test/lib/om_test.h"

#include <sys/socket.h>

constexpr size_t kBytes = 300000;
static unsigned char g_out[kBytes], g_in[kBytes];

int main() {
  int ends[2];
  OM_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  for (size_t i = 0; i < kBytes; ++i) g_out[i] = static_cast<unsigned char>(i * 31 + (i >> 9));
  OM_CHECK_EQ(send(ends[1], g_out, 1000, 0), 1000);
  pid_t sender = om_test_helper([&] {
    for (size_t sent = 1000; sent < kBytes;) {
      ssize_t one = OM_SYS(send(ends[1], g_out + sent, kBytes - sent, 0));
      sent += static_cast<size_t>(one);
    }
  });
  om_test_ready_blocking("recvfrom");
  OM_CHECK_EQ(recv(ends[0], g_in, kBytes, MSG_WAITALL), kBytes);
  for (size_t i = 0; i < kBytes; ++i) OM_CHECK_EQ(g_in[i], g_out[i]);
  om_test_join(sender);
}

// SPDX-License-Identifier: Apache-2.0
//
// sendmmsg() with two messages of which neither fits into the socket is blocked across the move and sends both whole.
#include "test/lib/om_test.h"

#include <sys/socket.h>
#include <vector>

constexpr size_t kBytes = 3000000;

static char byte_at(size_t i) { return static_cast<char>(i * 7 + i / 1000); }

int main() {
  int ends[2];
  OM_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  pid_t reader = om_test_helper([&] {
    close(ends[0]);
    std::vector<char> in(70000);
    size_t got = 0;
    for (ssize_t n; (n = read(ends[1], in.data(), in.size())) > 0;) {
      for (ssize_t i = 0; i < n; ++i) OM_CHECK_EQ(in[static_cast<size_t>(i)], byte_at(got++));
    }
    OM_CHECK_EQ(got, 2 * kBytes);
  });
  close(ends[1]);
  std::vector<char> out(2 * kBytes);
  for (size_t i = 0; i < out.size(); ++i) out[i] = byte_at(i);
  iovec parts[4] = {{out.data(), 1000},
                    {out.data() + 1000, kBytes - 1000},
                    {out.data() + kBytes, kBytes - 1},
                    {out.data() + 2 * kBytes - 1, 1}};
  mmsghdr messages[2] = {};
  for (size_t i = 0; i < 2; ++i) {
    messages[i].msg_hdr.msg_iov = parts + 2 * i;
    messages[i].msg_hdr.msg_iovlen = 2;
  }
  om_test_ready_blocking("sendmmsg");
  OM_CHECK_EQ(sendmmsg(ends[0], messages, 2, 0), 2);
  OM_CHECK_EQ(messages[0].msg_len, kBytes);
  OM_CHECK_EQ(messages[1].msg_len, kBytes);
  om_test_wait_moved();
  close(ends[0]);
  om_test_join(reader);
}

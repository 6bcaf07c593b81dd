// SPDX-License-Identifier: Apache-2.0
//
// A blocking writev of 3 MiB to a unix stream is under way during the move: whole count, every byte
// right.
#include "test/lib/om_test.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

constexpr size_t kHalf = 3 << 19;

static unsigned char pattern(size_t i) { return static_cast<unsigned char>(i * 5 + (i >> 7)); }

int main() {
  int ends[2];
  OM_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  pid_t reader = om_test_helper([&] {
    static unsigned char part[70000];
    for (size_t total = 0; total < 2 * kHalf;) {
      ssize_t got = OM_SYS(read(ends[1], part, sizeof part));
      OM_CHECK(got > 0);
      for (ssize_t i = 0; i < got; ++i)
        OM_CHECK_EQ(part[i], pattern(total + static_cast<size_t>(i)));
      total += static_cast<size_t>(got);
    }
  });
  auto* data = static_cast<unsigned char*>(malloc(2 * kHalf));
  for (size_t i = 0; i < 2 * kHalf; ++i) data[i] = pattern(i);
  iovec parts[2] = {{data, kHalf}, {data + kHalf, kHalf}};
  om_test_ready_blocking("writev");
  OM_CHECK_EQ(writev(ends[0], parts, 2), 2 * kHalf);
  om_test_join(reader);
  free(data);
}

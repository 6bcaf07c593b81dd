// SPDX-License-Identifier: Apache-2.0
//
// A blocking write of 4 MiB to a pipe has filled the pipe before the move; it returns the whole
// count and the reader gets every byte in order.
#include "test/lib/om_test.h"

#include <stdlib.h>

constexpr size_t kBytes = 4 << 20;

static unsigned char pattern(size_t i) {
  return static_cast<unsigned char>(i ^ (i >> 8) ^ (i >> 16));
}

int main() {
  int ends[2];
  OM_SYS(pipe(ends));
  pid_t reader = om_test_helper([&] {
    static unsigned char part[50000];
    close(ends[1]);
    for (size_t total = 0; total < kBytes;) {
      ssize_t got = OM_SYS(read(ends[0], part, sizeof part));
      OM_CHECK(got > 0);
      for (ssize_t i = 0; i < got; ++i)
        OM_CHECK_EQ(part[i], pattern(total + static_cast<size_t>(i)));
      total += static_cast<size_t>(got);
    }
    OM_CHECK_EQ(read(ends[0], part, 1), 0);
  });
  auto* data = static_cast<unsigned char*>(malloc(kBytes));
  for (size_t i = 0; i < kBytes; ++i) data[i] = pattern(i);
  om_test_ready_blocking("write");
  OM_CHECK_EQ(write(ends[1], data, kBytes), kBytes);
  close(ends[1]);
  om_test_join(reader);
  free(data);
}

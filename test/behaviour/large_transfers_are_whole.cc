// SPDX-License-Identifier: Apache-2.0
//
// Single write and read calls of 8 MiB of a regular file, and a buffer that begins at an odd
// address.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

constexpr size_t kBytes = 8 << 20;

int main() {
  auto* data = static_cast<unsigned char*>(malloc(kBytes + 16));
  auto* back = static_cast<unsigned char*>(malloc(kBytes + 16));
  uint32_t x = 1;
  for (size_t i = 0; i < kBytes; ++i) {
    x = x * 1664525 + 1013904223;
    data[i] = static_cast<unsigned char>(x >> 24);
  }
  int fd = OM_SYS(open("large", O_RDWR | O_CREAT, 0600));
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(write(fd, data, kBytes), kBytes);
  OM_CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
  OM_CHECK_EQ(read(fd, back + 3, kBytes + 5), kBytes);
  OM_CHECK(memcmp(data, back + 3, kBytes) == 0);
  OM_CHECK_EQ(read(fd, back, 1), 0);
  OM_CHECK_EQ(pwrite(fd, back + 3, kBytes, 1), kBytes);
  OM_CHECK_EQ(pread(fd, back, kBytes, 1), kBytes);
  OM_CHECK(memcmp(data, back, kBytes) == 0);
  OM_SYS(unlink("large"));
}

// SPDX-License-Identifier: Apache-2.0
//
// O_DIRECT transfers with memory, length and offset aligned to pages work, also by vectors; what a file system
// refuses with EINVAL for a wrong length is refused.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

constexpr size_t kBytes = 1 << 20;

int main() {
  int fd = open("direct", O_RDWR | O_CREAT | O_DIRECT, 0600);
  if (fd < 0 && errno == EINVAL) om_test_skip("no unbuffered files here");
  OM_CHECK(fd >= 0);
  char* data = static_cast<char*>(aligned_alloc(4096, kBytes));
  char* back = static_cast<char*>(aligned_alloc(4096, kBytes));
  for (size_t i = 0; i < kBytes; ++i) data[i] = static_cast<char>(i * 7 + i / 4096);
  const ssize_t odd = pwrite(fd, data, 1000, 0);
  const int odd_errno = odd < 0 ? errno : 0;
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(pwrite(fd, data, 4096, 0), 4096);
  OM_CHECK_EQ(write(fd, data, kBytes), kBytes);
  OM_CHECK_EQ(pread(fd, back, 8192, 4096), 8192);
  OM_CHECK(memcmp(back, data + 4096, 8192) == 0);
  OM_CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
  OM_CHECK_EQ(read(fd, back, kBytes), kBytes);
  OM_CHECK(memcmp(back, data, kBytes) == 0);
  errno = 0;
  OM_CHECK_EQ(pwrite(fd, data, 1000, 0), odd);
  OM_CHECK_EQ(errno, odd_errno);
  iovec parts[2] = {{back, 4096}, {back + 8192, 4096}};
  OM_CHECK_EQ(preadv(fd, parts, 2, 4096), 8192);
  OM_CHECK(memcmp(back, data + 4096, 4096) == 0);
  OM_CHECK(memcmp(back + 8192, data + 8192, 4096) == 0);
  parts[0] = {data + 4096, 4096};
  parts[1] = {data, 4096};
  OM_CHECK_EQ(pwritev(fd, parts, 2, 0), 8192);
  OM_CHECK_EQ(pread(fd, back, 8192, 0), 8192);
  OM_CHECK(memcmp(back, data + 4096, 4096) == 0 && memcmp(back + 4096, data, 4096) == 0);
  OM_SYS(unlink("direct"));
}

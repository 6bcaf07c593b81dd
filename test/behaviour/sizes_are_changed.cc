// SPDX-License-Identifier: Apache-2.0
//
// truncate, ftruncate and fallocate: contents, zeros and sizes afterwards.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/stat.h>

static off_t size_of(int fd) {
  struct stat info {};
  OM_SYS(fstat(fd, &info));
  return info.st_size;
}

int main() {
  int fd = OM_SYS(open("data", O_RDWR | O_CREAT, 0600));
  OM_CHECK_EQ(write(fd, "0123456789", 10), 10);
  om_test_ready();
  om_test_wait_moved();
  OM_SYS(ftruncate(fd, 4));
  OM_CHECK_EQ(size_of(fd), 4);
  OM_SYS(truncate("data", 8));
  char text[8];
  OM_CHECK_EQ(pread(fd, text, 8, 0), 8);
  OM_CHECK_EQ(text[3], '3');
  OM_CHECK_EQ(text[4], 0);
  if (fallocate(fd, 0, 0, 20000) == 0) {
    OM_CHECK_EQ(size_of(fd), 20000);
    OM_SYS(fallocate(fd, FALLOC_FL_KEEP_SIZE, 20000, 5000));
    OM_CHECK_EQ(size_of(fd), 20000);
  } else {
    OM_CHECK_EQ(errno, EOPNOTSUPP);
  }
  OM_CHECK_ERRNO(ftruncate(fd, -1), EINVAL);
  int reader = OM_SYS(open("data", O_RDONLY));
  OM_CHECK_ERRNO(ftruncate(reader, 0), EINVAL);
  OM_SYS(fdatasync(fd));
  OM_SYS(ftruncate(fd, 0));
  OM_CHECK_EQ(size_of(fd), 0);
}

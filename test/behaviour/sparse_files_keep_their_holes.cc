// SPDX-License-Identifier: Apache-2.0
//
// Holes of a file are found by SEEK_HOLE and SEEK_DATA, made by fallocate() and kept by what is written beside them.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/stat.h>

constexpr off_t kFar = 1 << 20, kBytes = 64 << 10;

static void check(int fd) {
  struct stat info {};
  OM_SYS(fstat(fd, &info));
  OM_CHECK_EQ(info.st_size, kFar + kBytes);
  OM_CHECK(info.st_blocks * 512 < kFar);
  OM_CHECK_EQ(lseek(fd, 0, SEEK_HOLE), kBytes);
  OM_CHECK_EQ(lseek(fd, kBytes, SEEK_DATA), kFar);
  OM_CHECK_EQ(lseek(fd, kFar, SEEK_HOLE), kFar + kBytes);
  OM_CHECK_ERRNO(lseek(fd, kFar + kBytes, SEEK_DATA), ENXIO);
}

int main() {
  static char s_text[kBytes];
  for (char& c : s_text) c = 'd';
  const int fd = OM_SYS(open("sparse", O_RDWR | O_CREAT, 0600));
  OM_CHECK_EQ(pwrite(fd, s_text, kBytes, 0), kBytes);
  OM_CHECK_EQ(pwrite(fd, s_text, kBytes, kFar), kBytes);
  OM_SYS(fsync(fd));
  if (lseek(fd, 0, SEEK_HOLE) != kBytes) om_test_skip("a file system without holes of 64 KiB");
  om_test_ready();
  om_test_wait_moved();
  check(fd);
  OM_CHECK_EQ(pwrite(fd, s_text, kBytes, kFar / 2), kBytes);
  OM_CHECK_EQ(lseek(fd, kBytes, SEEK_DATA), kFar / 2);
  if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kFar / 2, kBytes) != 0) {
    OM_CHECK_EQ(errno, EOPNOTSUPP);
    return 0;
  }
  check(fd);
  char byte = 'x';
  OM_CHECK_EQ(pread(fd, &byte, 1, kFar / 2), 1);
  OM_CHECK_EQ(byte, 0);
}

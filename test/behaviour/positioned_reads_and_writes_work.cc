// SPDX-License-Identifier: Apache-2.0
//
// pread, pwrite, preadv, pwritev leave the offset alone and meet the right bytes, up to the end of
// file.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>

int main() {
  int fd = OM_SYS(open("data", O_RDWR | O_CREAT, 0600));
  OM_CHECK_EQ(write(fd, "abcdefghijklmnopqrstuvwxyz", 26), 26);
  OM_CHECK_EQ(lseek(fd, 5, SEEK_SET), 5);
  om_test_ready();
  om_test_wait_moved();
  OmGuarded one(3), two(7);
  OM_CHECK_EQ(pread(fd, one.data(), 3, 10), 3);
  OM_CHECK(memcmp(one.data(), "klm", 3) == 0);
  OM_CHECK_EQ(pwrite(fd, "XY", 2, 24), 2);
  iovec parts[2] = {{one.data(), 3}, {two.data(), 7}};
  OM_CHECK_EQ(preadv(fd, parts, 2, 20), 6);
  OM_CHECK(memcmp(one.data(), "uvw", 3) == 0);
  OM_CHECK(memcmp(two.data(), "xXY", 3) == 0);
  memcpy(two.data(), "1234567", 7);
  OM_CHECK_EQ(pwritev(fd, parts, 2, 30), 10);
  OM_CHECK_EQ(lseek(fd, 0, SEEK_END), 40);
  OM_CHECK_EQ(pread(fd, two.data(), 7, 40), 0);
  OM_CHECK_EQ(pread(fd, two.data(), 7, 26), 7);
  OM_CHECK(memcmp(two.data(), "\0\0\0\0uvw", 7) == 0);
  OM_CHECK_EQ(lseek(fd, 5, SEEK_SET), 5);
  OM_CHECK_EQ(pread(fd, two.data(), 1, 0), 1);
  OM_CHECK_EQ(lseek(fd, 0, SEEK_CUR), 5);
  OM_CHECK_ERRNO(pread(fd, two.data(), 1, -1), EINVAL);
}

// SPDX-License-Identifier: Apache-2.0
//
// preadv2 and pwritev2: the offset -1 uses the file's own, flags append or refuse to wait.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>

int main() {
  int fd = OM_SYS(open("file", O_RDWR | O_CREAT, 0600)), ends[2];
  OM_SYS(pipe(ends));
  om_test_ready();
  om_test_wait_moved();
  char one[4] = {'a', 'b', 'c', 'd'}, two[3] = {'1', '2', '3'};
  iovec parts[2] = {{one, 4}, {two, 3}};
  OM_CHECK_EQ(pwritev2(fd, parts, 2, -1, 0), 7);
  OM_CHECK_EQ(lseek(fd, 0, SEEK_CUR), 7);
  OM_CHECK_EQ(pwritev2(fd, parts, 1, 100, 0), 4);
  OM_CHECK_EQ(pwritev2(fd, parts + 1, 1, 0, RWF_APPEND | RWF_DSYNC), 3);
  OM_CHECK_EQ(lseek(fd, 0, SEEK_END), 107);
  OmGuarded text(11);
  iovec in[2] = {{text.data(), 5}, {text.data() + 5, 6}};
  OM_CHECK_EQ(preadv2(fd, in, 2, 98, 0), 9);
  OM_CHECK(memcmp(text.data(), "\0\0abcd123", 9) == 0);
  OM_CHECK_EQ(lseek(fd, 3, SEEK_SET), 3);
  OM_CHECK_EQ(preadv2(fd, in, 1, -1, RWF_HIPRI), 5);
  OM_CHECK(memcmp(text.data(), "d123\0", 5) == 0);
  OM_CHECK_ERRNO(preadv2(ends[0], in, 1, -1, RWF_NOWAIT), EAGAIN);
  OM_CHECK_ERRNO(pwritev2(fd, parts, 2, 0, 1 << 20), EOPNOTSUPP);
}

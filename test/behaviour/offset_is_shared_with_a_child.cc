// SPDX-License-Identifier: Apache-2.0
//
// A child forked before the move shares the offset of an open file with the moved parent.
#include "test/lib/om_test.h"

#include <fcntl.h>

int main() {
  int fd = OM_SYS(open("data", O_RDWR | O_CREAT, 0600));
  int turn[2];
  OM_SYS(pipe(turn));
  OM_CHECK_EQ(write(fd, "abcdefghij", 10), 10);
  OM_CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
  pid_t child = om_test_helper([&] {
    char c = 0;
    OM_CHECK_EQ(read(turn[0], &c, 1), 1);
    OM_CHECK_EQ(read(fd, &c, 1), 1);
    OM_CHECK_EQ(c, 'c');
  });
  om_test_ready();
  om_test_wait_moved();
  char two[2];
  OM_CHECK_EQ(read(fd, two, 2), 2);
  OM_CHECK_EQ(write(turn[1], "t", 1), 1);
  om_test_join(child);
  OM_CHECK_EQ(read(fd, two, 2), 2);
  OM_CHECK_EQ(two[0], 'd');
}

// SPDX-License-Identifier: Apache-2.0
//
// dup(), dup2() and F_DUPFD of a file share offset and flags with the original, before and after
// the move.
#include "test/lib/om_test.h"

#include <fcntl.h>

int main() {
  int fd = OM_SYS(open("data", O_RDWR | O_CREAT, 0600));
  OM_CHECK_EQ(write(fd, "0123456789", 10), 10);
  int before = OM_SYS(dup(fd));
  OM_CHECK_EQ(lseek(fd, 3, SEEK_SET), 3);
  om_test_ready();
  om_test_wait_moved();
  int after = OM_SYS(dup2(fd, 77));
  int third = OM_SYS(fcntl(fd, F_DUPFD, 50));
  OM_CHECK_EQ(after, 77);
  OM_CHECK_EQ(third, 50);
  char c = 0;
  OM_CHECK_EQ(read(before, &c, 1), 1);
  OM_CHECK_EQ(c, '3');
  OM_CHECK_EQ(read(after, &c, 1), 1);
  OM_CHECK_EQ(c, '4');
  OM_CHECK_EQ(read(third, &c, 1), 1);
  OM_CHECK_EQ(c, '5');
  OM_CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
  int own = OM_SYS(open("data", O_RDONLY));
  OM_CHECK_EQ(lseek(own, 0, SEEK_CUR), 0);
  OM_SYS(fcntl(fd, F_SETFL, O_APPEND));
  OM_CHECK((fcntl(third, F_GETFL) & O_APPEND) != 0);
  OM_CHECK((fcntl(own, F_GETFL) & O_APPEND) == 0);
}

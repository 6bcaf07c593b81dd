// SPDX-License-Identifier: Apache-2.0
//
// O_APPEND writes go to the end of the file, also when another process has written meanwhile.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>

int main() {
  int fd = OM_SYS(open("log", O_RDWR | O_CREAT | O_APPEND, 0644));
  OM_CHECK_EQ(write(fd, "one,", 4), 4);
  pid_t other = om_test_helper([] {
    int mine = OM_SYS(open("log", O_WRONLY | O_APPEND));
    OM_CHECK_EQ(write(mine, "two,", 4), 4);
  });
  om_test_ready();
  om_test_wait_moved();
  om_test_join(other);
  OM_CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
  OM_CHECK_EQ(write(fd, "three", 5), 5);
  OM_CHECK_EQ(lseek(fd, 0, SEEK_CUR), 13);
  char text[32];
  OM_CHECK_EQ(pread(fd, text, sizeof text, 0), 13);
  OM_CHECK(memcmp(text, "one,two,three", 13) == 0);
}

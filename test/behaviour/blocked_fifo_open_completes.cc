// SPDX-License-Identifier: Apache-2.0
//
// open() of a FIFO for reading waits for a writer across the move.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/stat.h>

int main() {
  OM_SYS(mkfifo("fifo", 0600));
  pid_t writer = om_test_helper([] {
    int fd = OM_SYS(open("fifo", O_WRONLY));
    OM_CHECK_EQ(write(fd, "ab", 2), 2);
  });
  om_test_ready_blocking("openat|open");
  int fd = OM_SYS(open("fifo", O_RDONLY));
  char text[8];
  OM_CHECK_EQ(read(fd, text, sizeof text), 2);
  OM_CHECK_EQ(read(fd, text, sizeof text), 0);
  om_test_join(writer);
  OM_SYS(unlink("fifo"));
}

// SPDX-License-Identifier: Apache-2.0
//
// A FIFO between the moved program and another process: request and answer, open for reading and
// writing.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int main() {
  OM_SYS(mkfifo("to", 0600));
  OM_SYS(mkfifo("from", 0600));
  pid_t other = om_test_helper([] {
    int in = OM_SYS(open("to", O_RDONLY)), out = OM_SYS(open("from", O_WRONLY));
    char c = 0;
    while (read(in, &c, 1) == 1) {
      ++c;
      OM_CHECK_EQ(write(out, &c, 1), 1);
    }
  });
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_ERRNO(open("from", O_WRONLY | O_NONBLOCK), ENXIO);
  int out = OM_SYS(open("to", O_WRONLY)), in = OM_SYS(open("from", O_RDONLY));
  for (char c = 'a'; c < 'z'; ++c) {
    char back = 0;
    OM_CHECK_EQ(write(out, &c, 1), 1);
    OM_CHECK_EQ(read(in, &back, 1), 1);
    OM_CHECK_EQ(back, c + 1);
  }
  close(out);
  om_test_join(other);
  OM_SYS(unlink("to"));
  OM_SYS(unlink("from"));
}

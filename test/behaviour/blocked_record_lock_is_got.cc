// SPDX-License-Identifier: Apache-2.0
//
// fcntl(F_SETLKW) waits for another process's record lock across the move and gets it.
#include "test/lib/om_test.h"

#include <fcntl.h>

static struct flock record(short type) {
  struct flock result {};
  result.l_type = type;
  result.l_whence = SEEK_SET;
  result.l_start = 10;
  result.l_len = 5;
  return result;
}

int main() {
  int fd = OM_SYS(open("lock", O_RDWR | O_CREAT, 0600));
  int locked[2];
  OM_SYS(pipe(locked));
  pid_t holder = OM_SYS(fork());
  if (holder == 0) {
    struct flock lock = record(F_WRLCK);
    OM_SYS(fcntl(fd, F_SETLK, &lock));
    OM_CHECK_EQ(write(locked[1], "l", 1), 1);
    om_test_wait_moved();
    _exit(0);  // gives up the lock
  }
  char c;
  OM_CHECK_EQ(read(locked[0], &c, 1), 1);
  OmGuardedOut<struct flock> seen;
  *seen = record(F_RDLCK);
  OM_SYS(fcntl(fd, F_GETLK, &seen));
  OM_CHECK_EQ(seen->l_type, F_WRLCK);
  OM_CHECK_EQ(seen->l_pid, holder);
  struct flock lock = record(F_WRLCK);
  om_test_ready_blocking("fcntl");
  OM_CHECK_EQ(fcntl(fd, F_SETLKW, &lock), 0);
  om_test_join(holder);
}

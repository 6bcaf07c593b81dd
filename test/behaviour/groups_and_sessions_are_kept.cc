// SPDX-License-Identifier: Apache-2.0
//
// setpgid and getsid of a child and of the program itself around the move.
#include "test/lib/om_test.h"

#include <signal.h>
#include <sys/wait.h>

int main() {
  int hold[2];
  OM_SYS(pipe(hold));
  pid_t child = OM_SYS(fork());
  if (child == 0) {
    close(hold[1]);
    char c;
    OM_CHECK_EQ(read(hold[0], &c, 1), 0);
    _exit(0);
  }
  om_test_ready();
  om_test_wait_moved();
  OM_SYS(setpgid(child, child));
  OM_CHECK_EQ(getpgid(child), child);
  OM_CHECK_EQ(getsid(child), getsid(0));
  OM_CHECK_EQ(getpgrp(), getpid());
  OM_CHECK_ERRNO(setsid(), EPERM);  // leads its group already
  OM_CHECK_ERRNO(getpgid(-5), ESRCH);
  OM_SYS(kill(-child, 0));
  close(hold[1]);
  om_test_join(child);
  OM_CHECK_ERRNO(kill(-child, 0), ESRCH);
}

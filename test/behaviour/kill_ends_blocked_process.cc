// SPDX-License-Identifier: Apache-2.0
//
// SIGKILL from outside ends a moved child that is blocked in a call; no handler, no delay.
#include "test/lib/om_test.h"

#include <signal.h>
#include <sys/wait.h>

int main() {
  int ends[2];
  OM_SYS(pipe(ends));
  pid_t child = OM_SYS(fork());
  if (child == 0) {
    char c;
    om_test_ready_blocking("read");
    OM_CHECK_EQ(read(ends[0], &c, 1), 1);
    _exit(0);
  }
  om_test_wait_moved();
  OM_SYS(kill(child, SIGKILL));
  int status = 0;
  OM_CHECK_EQ(waitpid(child, &status, 0), child);
  OM_CHECK(WIFSIGNALED(status));
  OM_CHECK_EQ(WTERMSIG(status), SIGKILL);
}

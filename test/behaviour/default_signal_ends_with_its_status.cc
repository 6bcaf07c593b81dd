// SPDX-License-Identifier: Apache-2.0
//
// The moved process is a child that dies of SIGTERM sent from outside; its parent sees exactly
// that.
#include "test/lib/om_test.h"

#include <signal.h>
#include <sys/wait.h>

int main() {
  pid_t child = OM_SYS(fork());
  if (child == 0) {
    om_test_ready();
    for (;;) asm volatile("");
  }
  om_test_wait_moved();
  OM_SYS(kill(child, SIGTERM));
  int status = 0;
  OM_CHECK_EQ(waitpid(child, &status, 0), child);
  OM_CHECK(WIFSIGNALED(status));
  OM_CHECK_EQ(WTERMSIG(status), SIGTERM);
  OM_CHECK(!WCOREDUMP(status));
}

// SPDX-License-Identifier: Apache-2.0
//
// abort() after the move: the handler of SIGABRT runs, then the process dies of the signal all the
// same.
#include "test/lib/om_test.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

int main() {
  pid_t child = OM_SYS(fork());
  if (child == 0) {
    OM_CHECK(signal(SIGABRT, [](int) { OM_CHECK_EQ(write(1, "aborting\n", 9), 9); }) != SIG_ERR);
    om_test_ready();
    om_test_wait_moved();
    abort();
  }
  int status = 0;
  OM_CHECK_EQ(waitpid(child, &status, 0), child);
  OM_CHECK(WIFSIGNALED(status));
  OM_CHECK_EQ(WTERMSIG(status), SIGABRT);
}

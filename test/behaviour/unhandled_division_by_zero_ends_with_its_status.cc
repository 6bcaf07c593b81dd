// SPDX-License-Identifier: Apache-2.0
//
// A moved child with SIGFPE blocked divides by zero: blocking does not help, it dies of the signal.
#include "test/lib/om_test.h"

#include <signal.h>
#include <sys/wait.h>

int main() {
  pid_t child = OM_SYS(fork());
  if (child == 0) {
    sigset_t all;
    sigfillset(&all);
    OM_SYS(sigprocmask(SIG_SETMASK, &all, nullptr));
    om_test_ready();
    om_test_wait_moved();
    volatile int zero = 0, many = 12345;
    _exit(many / zero);
  }
  int status = 0;
  OM_CHECK_EQ(waitpid(child, &status, 0), child);
  OM_CHECK(WIFSIGNALED(status));
  OM_CHECK_EQ(WTERMSIG(status), SIGFPE);
}

// SPDX-License-Identifier: Apache-2.0
//
// SIGSTOP stops the moved child for its parent (WUNTRACED), SIGCONT continues it (WCONTINUED), with
// the handler of SIGCONT run; it makes no progress while stopped.
#include "test/lib/om_test.h"

#include <signal.h>
#include <sys/wait.h>

int main() {
  int progress[2];
  OM_SYS(pipe2(progress, 0));
  pid_t child = OM_SYS(fork());
  if (child == 0) {
    signal(SIGCONT, [](int) { OM_CHECK_EQ(write(1, "continued\n", 10), 10); });
    om_test_ready();
    om_test_wait_moved();
    for (char c = 0;; c = 1) {
      if (write(progress[1], &c, 1) != 1) _exit(1);
      timespec pause{0, 2000000};
      nanosleep(&pause, nullptr);
    }
  }
  om_test_wait_moved();
  char c;
  OM_CHECK_EQ(read(progress[0], &c, 1), 1);
  OM_SYS(kill(child, SIGSTOP));
  int status = 0;
  OM_CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
  OM_CHECK(WIFSTOPPED(status));
  OM_CHECK_EQ(WSTOPSIG(status), SIGSTOP);
  OM_SYS(kill(child, SIGCONT));
  OM_CHECK_EQ(waitpid(child, &status, WCONTINUED), child);
  OM_CHECK(WIFCONTINUED(status));
  for (int i = 0; i < 20; ++i) OM_CHECK_EQ(read(progress[0], &c, 1), 1);
  OM_SYS(kill(child, SIGTERM));
  OM_CHECK_EQ(waitpid(child, &status, 0), child);
  OM_CHECK_EQ(WTERMSIG(status), SIGTERM);
}

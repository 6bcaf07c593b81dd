// SPDX-License-Identifier: Apache-2.0
//
// waitid() waits across the move; the siginfo names child, status and user; WNOWAIT leaves it
// waitable.
#include "test/lib/om_test.h"

#include <signal.h>
#include <sys/wait.h>

int main() {
  pid_t child = om_test_helper([] { raise(SIGTERM); });
  OmGuardedOut<siginfo_t> info;
  om_test_ready_blocking("waitid");
  OM_CHECK_EQ(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
  OM_CHECK_EQ(info->si_signo, SIGCHLD);
  OM_CHECK_EQ(info->si_code, CLD_KILLED);
  OM_CHECK_EQ(info->si_pid, child);
  OM_CHECK_EQ(info->si_uid, getuid());
  OM_CHECK_EQ(info->si_status, SIGTERM);
  int status = 0;
  OM_CHECK_EQ(waitpid(child, &status, 0), child);
  OM_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

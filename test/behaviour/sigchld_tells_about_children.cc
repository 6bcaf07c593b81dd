// SPDX-License-Identifier: Apache-2.0
//
// SIGCHLD arrives for a child that ends after the move, with pid, reason and status; ignoring it
// reaps.
#include "test/lib/om_test.h"

#include <signal.h>
#include <sys/wait.h>

static volatile sig_atomic_t g_count;
static siginfo_t g_info;

int main() {
  struct sigaction action {};
  action.sa_sigaction = [](int, siginfo_t* info, void*) {
    g_info = *info;
    g_count = g_count + 1;
  };
  action.sa_flags = SA_SIGINFO;
  sigset_t blocked, open;
  sigemptyset(&open);
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGCHLD);
  OM_SYS(sigprocmask(SIG_BLOCK, &blocked, nullptr));
  OM_SYS(sigaction(SIGCHLD, &action, nullptr));
  pid_t child = om_test_helper([] { _exit(23); });
  om_test_ready_blocking("rt_sigsuspend");
  while (g_count == 0) OM_CHECK_ERRNO(sigsuspend(&open), EINTR);
  OM_CHECK_EQ(g_info.si_pid, child);
  OM_CHECK_EQ(g_info.si_code, CLD_EXITED);
  OM_CHECK_EQ(g_info.si_status, 23);
  int status = 0;
  OM_CHECK_EQ(waitpid(child, &status, 0), child);
  OM_CHECK_EQ(WEXITSTATUS(status), 23);
  om_test_wait_moved();
  OM_CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
  pid_t gone = OM_SYS(fork());
  if (gone == 0) _exit(1);
  OM_CHECK_ERRNO(waitpid(gone, &status, 0), ECHILD);
}

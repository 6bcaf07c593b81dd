// SPDX-License-Identifier: Apache-2.0
//
// Signals that are blocked and pending during the move stay pending, are listed, and arrive when
// unblocked.
#include "test/lib/om_test.h"

#include <signal.h>

static volatile sig_atomic_t g_usr1, g_usr2;

int main() {
  struct sigaction action {};
  action.sa_handler = [](int number) { (number == SIGUSR1 ? g_usr1 : g_usr2) = 1; };
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  OM_SYS(sigaction(SIGUSR2, &action, nullptr));
  sigset_t both, pending;
  sigemptyset(&both);
  sigaddset(&both, SIGUSR1);
  sigaddset(&both, SIGUSR2);
  OM_SYS(sigprocmask(SIG_BLOCK, &both, nullptr));
  OM_SYS(kill(getpid(), SIGUSR1));                        // pending for the process
  OM_CHECK_EQ(pthread_kill(pthread_self(), SIGUSR2), 0);  // pending for the thread
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(g_usr1 + g_usr2, 0);
  OM_SYS(sigpending(&pending));
  OM_CHECK_EQ(sigismember(&pending, SIGUSR1), 1);
  OM_CHECK_EQ(sigismember(&pending, SIGUSR2), 1);
  OM_CHECK_EQ(sigismember(&pending, SIGTERM), 0);
  OM_SYS(sigprocmask(SIG_UNBLOCK, &both, nullptr));
  OM_CHECK_EQ(g_usr1 + g_usr2, 2);
  OM_SYS(sigpending(&pending));
  OM_CHECK_EQ(sigismember(&pending, SIGUSR1), 0);
}

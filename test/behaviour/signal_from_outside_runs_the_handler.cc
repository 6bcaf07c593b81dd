// SPDX-License-Identifier: Apache-2.0
//
// Another process sends SIGUSR1 after the move: the handler runs once, with the sender in its
// siginfo, and errno of the interrupted code is untouched.
#include "test/lib/om_test.h"

#include <signal.h>

static volatile sig_atomic_t g_count;
static siginfo_t g_info;

static void handler(int number, siginfo_t* info, void*) {
  OM_CHECK_EQ(number, SIGUSR1);
  g_info = *info;
  g_count = g_count + 1;
}

int main() {
  struct sigaction action {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO;
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  pid_t parent = getpid();
  pid_t killer = om_test_helper([=] { OM_SYS(kill(parent, SIGUSR1)); });
  om_test_ready();
  om_test_wait_moved();
  errno = EDOM;
  while (g_count == 0) continue;  // computing, no system call
  OM_CHECK_EQ(errno, EDOM);
  OM_CHECK_EQ(g_info.si_code, SI_USER);
  OM_CHECK_EQ(g_info.si_pid, killer);
  OM_CHECK_EQ(g_info.si_uid, getuid());
  om_test_join(killer);
  OM_CHECK_EQ(g_count, 1);
}

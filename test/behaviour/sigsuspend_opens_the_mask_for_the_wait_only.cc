// SPDX-License-Identifier: Apache-2.0
//
// sigsuspend() is blocked across the move; the signal that its mask lets in ends it, the old mask
// is back.
#include "test/lib/om_test.h"

#include <signal.h>

static volatile sig_atomic_t g_count;

int main() {
  sigset_t blocked, during, now;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  sigaddset(&blocked, SIGUSR2);
  OM_SYS(sigprocmask(SIG_SETMASK, &blocked, nullptr));
  struct sigaction action {};
  action.sa_handler = [](int number) { g_count = g_count * 100 + number; };
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  OM_SYS(sigaction(SIGUSR2, &action, nullptr));
  sigemptyset(&during);
  sigaddset(&during, SIGUSR2);
  pid_t parent = getpid();
  pid_t killer = om_test_helper([=] {
    OM_SYS(kill(parent, SIGUSR2));  // still blocked
    OM_SYS(kill(parent, SIGUSR1));
  });
  om_test_ready_blocking("rt_sigsuspend");
  OM_CHECK_ERRNO(sigsuspend(&during), EINTR);
  OM_CHECK_EQ(g_count, SIGUSR1);
  OM_SYS(sigprocmask(SIG_SETMASK, nullptr, &now));
  OM_CHECK_EQ(sigismember(&now, SIGUSR1), 1);
  om_test_join(killer);
  sigemptyset(&now);
  OM_SYS(sigprocmask(SIG_SETMASK, &now, nullptr));
  OM_CHECK_EQ(g_count, SIGUSR1 * 100 + SIGUSR2);
}

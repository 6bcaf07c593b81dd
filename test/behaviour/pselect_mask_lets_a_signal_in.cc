// SPDX-License-Identifier: Apache-2.0
//
// pselect() with an open mask: a signal after the move ends it with EINTR and the mask is as
// before.
#include "test/lib/om_test.h"

#include <signal.h>
#include <sys/select.h>

static volatile sig_atomic_t g_count;

int main() {
  sigset_t blocked, during, now;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR2);
  OM_SYS(sigprocmask(SIG_BLOCK, &blocked, nullptr));
  sigemptyset(&during);
  struct sigaction action {};
  action.sa_handler = [](int) { g_count = g_count + 1; };
  action.sa_flags = SA_RESTART;
  OM_SYS(sigaction(SIGUSR2, &action, nullptr));
  pid_t parent = getpid();
  pid_t killer = om_test_helper([=] { OM_SYS(kill(parent, SIGUSR2)); });
  om_test_ready_blocking("pselect6");
  OM_CHECK_ERRNO(pselect(0, nullptr, nullptr, nullptr, nullptr, &during), EINTR);
  OM_CHECK_EQ(g_count, 1);
  OM_SYS(sigprocmask(SIG_BLOCK, nullptr, &now));
  OM_CHECK_EQ(sigismember(&now, SIGUSR2), 1);
  om_test_join(killer);
}

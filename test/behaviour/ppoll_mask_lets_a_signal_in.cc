// SPDX-License-Identifier: Apache-2.0
//
// ppoll() opens its signal mask for the wait only: the signal that comes after the move ends it
// with EINTR, its handler runs once and the old mask is back.
#include "test/lib/om_test.h"

#include <poll.h>
#include <signal.h>

static volatile sig_atomic_t g_count;

int main() {
  sigset_t blocked, during, now;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  OM_SYS(sigprocmask(SIG_BLOCK, &blocked, nullptr));
  sigemptyset(&during);
  struct sigaction action {};
  action.sa_handler = [](int) { g_count = g_count + 1; };
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  pid_t parent = getpid();
  pid_t killer = om_test_helper([=] { OM_SYS(kill(parent, SIGUSR1)); });
  timespec limit{100, 0};
  om_test_ready_blocking("ppoll");
  OM_CHECK_ERRNO(ppoll(nullptr, 0, &limit, &during), EINTR);
  OM_CHECK_EQ(g_count, 1);
  OM_SYS(sigprocmask(SIG_BLOCK, nullptr, &now));
  OM_CHECK_EQ(sigismember(&now, SIGUSR1), 1);
  om_test_join(killer);
}

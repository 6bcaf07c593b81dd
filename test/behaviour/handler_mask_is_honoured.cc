// SPDX-License-Identifier: Apache-2.0
//
// While a handler runs, its sa_mask and its own signal are blocked; afterwards the mask is as
// before.
#include "test/lib/om_test.h"

#include <signal.h>

static volatile sig_atomic_t g_order;

static void first(int) {
  sigset_t now;
  OM_SYS(sigprocmask(SIG_BLOCK, nullptr, &now));
  OM_CHECK_EQ(sigismember(&now, SIGUSR1), 1);
  OM_CHECK_EQ(sigismember(&now, SIGUSR2), 1);
  OM_CHECK_EQ(sigismember(&now, SIGHUP), 0);
  OM_CHECK_EQ(raise(SIGUSR2), 0);
  OM_CHECK_EQ(g_order, 0);
  g_order = 1;
}

static void second(int) {
  OM_CHECK_EQ(g_order, 1);
  g_order = 2;
}

int main() {
  struct sigaction action {};
  action.sa_handler = first;
  sigemptyset(&action.sa_mask);
  sigaddset(&action.sa_mask, SIGUSR2);
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  struct sigaction other {};
  other.sa_handler = second;
  OM_SYS(sigaction(SIGUSR2, &other, nullptr));
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(raise(SIGUSR1), 0);
  OM_CHECK_EQ(g_order, 2);
  sigset_t now;
  OM_SYS(sigprocmask(SIG_BLOCK, nullptr, &now));
  OM_CHECK_EQ(sigismember(&now, SIGUSR1) + sigismember(&now, SIGUSR2), 0);
}

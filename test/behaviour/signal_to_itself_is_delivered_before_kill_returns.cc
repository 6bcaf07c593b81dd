// SPDX-License-Identifier: Apache-2.0
//
// raise() and kill(getpid()) of an unblocked signal: the handler has run when the call returns.
#include "test/lib/om_test.h"

#include <signal.h>

static volatile sig_atomic_t g_count;

int main() {
  struct sigaction action {};
  action.sa_handler = [](int) { g_count = g_count + 1; };
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  om_test_ready();
  om_test_wait_moved();
  for (int i = 1; i <= 50; ++i) {
    OM_CHECK_EQ(raise(SIGUSR1), 0);
    OM_CHECK_EQ(g_count, 2 * i - 1);
    OM_CHECK_EQ(kill(getpid(), SIGUSR1), 0);
    OM_CHECK_EQ(g_count, 2 * i);
  }
}

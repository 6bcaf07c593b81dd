// SPDX-License-Identifier: Apache-2.0
//
// A signal that arrives inside another one's handler runs there, and its mask is taken back
// afterwards; SA_NODEFER lets a handler interrupt itself.
#include "test/lib/om_test.h"

#include <signal.h>
#include <stdio.h>

static volatile sig_atomic_t g_depth, g_first = 1;

static void say(const char* text) {
  char line[40];
  int bytes = snprintf(line, sizeof line, "%d %s\n", static_cast<int>(g_depth), text);
  OM_CHECK_EQ(write(STDOUT_FILENO, line, static_cast<size_t>(bytes)), bytes);
}

static void handler(int number) {
  g_depth = g_depth + 1;
  say(number == SIGUSR1 ? "usr1 in" : "usr2 in");
  if (number == SIGUSR1) {
    if (g_first) OM_CHECK_EQ(raise(SIGUSR2), 0);
    g_first = 0;
  } else if (g_depth < 5) {
    OM_CHECK_EQ(raise(SIGUSR2), 0);  // nests at once: SA_NODEFER
  } else {
    OM_CHECK_EQ(raise(SIGUSR1), 0);  // stays pending until the outer SIGUSR1 handler has returned
  }
  say(number == SIGUSR1 ? "usr1 out" : "usr2 out");
  g_depth = g_depth - 1;
}

int main() {
  struct sigaction action {};
  action.sa_handler = handler;
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  action.sa_flags = SA_NODEFER;
  OM_SYS(sigaction(SIGUSR2, &action, nullptr));
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(raise(SIGUSR1), 0);
  OM_CHECK_EQ(g_depth, 0);
}

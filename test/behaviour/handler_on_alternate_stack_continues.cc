// SPDX-License-Identifier: Apache-2.0
//
// A signal handler that is running on an alternate stack during the move ends normally and returns
// to the interrupted code.
#include "test/lib/om_test.h"

#include <signal.h>
#include <stdlib.h>

static char* g_stack;
static size_t g_bytes;
static volatile int g_handled;

static void on_signal(int) {
  char here = 0;
  OM_CHECK(&here > g_stack && &here < g_stack + g_bytes);
  om_test_ready();
  om_test_wait_moved();
  volatile char below[4096];
  for (char volatile& c : below) c = 1;
  g_handled = g_handled + 1;
}

int main() {
  g_bytes = 256 * 1024;
  g_stack = static_cast<char*>(malloc(g_bytes));
  stack_t stack{}, seen{};
  stack.ss_sp = g_stack;
  stack.ss_size = g_bytes;
  OM_SYS(sigaltstack(&stack, nullptr));
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_ONSTACK;
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  raise(SIGUSR1);
  OM_CHECK_EQ(g_handled, 1);
  OM_SYS(sigaltstack(nullptr, &seen));
  OM_CHECK_EQ(seen.ss_sp, g_stack);
  OM_CHECK_EQ(seen.ss_size, g_bytes);
  OM_CHECK_EQ(seen.ss_flags, 0);
}

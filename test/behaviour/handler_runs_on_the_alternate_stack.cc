// SPDX-License-Identifier: Apache-2.0
//
// SA_ONSTACK handlers run on the thread's alternate stack, others on the ordinary one; also for a
// thread that sets its stack after the move.
#include "test/lib/om_test.h"

#include <signal.h>

static char g_stack[2][65536];
static thread_local char* t_stack;
static thread_local volatile int t_handled;

static bool on_alternate(const void* p) { return p >= t_stack && p < t_stack + sizeof g_stack[0]; }

static void handler(int number) {
  int here;
  OM_CHECK_EQ(on_alternate(&here), number == SIGUSR1);
  stack_t now{};
  OM_SYS(sigaltstack(nullptr, &now));
  OM_CHECK_EQ(now.ss_flags, number == SIGUSR1 ? SS_ONSTACK : 0);
  t_handled = t_handled + 1;
}

static void set_stack(int index) {
  t_stack = g_stack[index];
  stack_t stack{};
  stack.ss_sp = t_stack;
  stack.ss_size = sizeof g_stack[0];
  OM_SYS(sigaltstack(&stack, nullptr));
}

static void use_signals() {
  for (int i = 0; i < 5; ++i) {
    OM_CHECK_EQ(raise(SIGUSR1), 0);
    OM_CHECK_EQ(raise(SIGUSR2), 0);
  }
  OM_CHECK_EQ(t_handled, 10);
}

int main() {
  struct sigaction action {};
  action.sa_handler = handler;
  OM_SYS(sigaction(SIGUSR2, &action, nullptr));
  action.sa_flags = SA_ONSTACK;
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  set_stack(0);
  om_test_ready();
  om_test_wait_moved();
  use_signals();
  OmThread other([] {
    stack_t none{};
    OM_SYS(sigaltstack(nullptr, &none));
    OM_CHECK_EQ(none.ss_flags, SS_DISABLE);
    set_stack(1);
    use_signals();
  });
}

// SPDX-License-Identifier: Apache-2.0
//
// Handlers on an alternate stack with SS_AUTODISARM, set before and after the move: the stack is off inside, a second
// handler may use it again, swapcontext() out of a handler and back into it works, and a handler that has never
// returned ends the program.
// om-points: 2
// om-status: exit 42
#include "test/lib/om_test.h"

#include <limits.h>
#include <signal.h>
#include <ucontext.h>

static constexpr int kAutodisarm = INT_MIN;  // SS_AUTODISARM, of linux/signal.h
static char g_alternate[65536], g_coroutine_stack[65536];
static ucontext_t g_handler, g_coroutine, g_main;
static volatile int g_steps, g_inner;

static bool on_alternate(const void* p) {
  return p >= g_alternate && p < g_alternate + sizeof g_alternate;
}

static void arm() {
  stack_t stack{};
  stack.ss_sp = g_alternate;
  stack.ss_size = sizeof g_alternate;
  stack.ss_flags = kAutodisarm;
  OM_SYS(sigaltstack(&stack, nullptr));
}

static int stack_flags() {
  stack_t now{};
  OM_SYS(sigaltstack(nullptr, &now));
  return now.ss_flags;
}

static void coroutine() {
  for (;;) {
    const char here = 0;
    OM_CHECK(!on_alternate(&here));
    // The stack of the handler is free meanwhile: a second handler may run there.
    arm();
    OM_CHECK_EQ(raise(SIGUSR2), 0);
    g_steps = g_steps + 1;
    swapcontext(&g_coroutine, &g_handler);
  }
}

static void first(int) {
  const char here = 0;
  OM_CHECK(on_alternate(&here));
  OM_CHECK_EQ(stack_flags(), SS_DISABLE);
  // What is below this frame would be overwritten by the second one: go far down first.
  volatile char deep[16384];
  for (char volatile& c : deep) c = 1;
  swapcontext(&g_handler, &g_coroutine);
  OM_CHECK_EQ(deep[0], 1);
}

static void second(int) {
  const char here = 0;
  OM_CHECK_EQ(on_alternate(&here), false);
  g_inner = g_inner + 1;
}

static void never_returns(int) {
  const char here = 0;
  OM_CHECK(on_alternate(&here));
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(stack_flags(), SS_DISABLE);
  setcontext(&g_main);
}

int main() {
  struct sigaction action {};
  action.sa_handler = first;
  action.sa_flags = SA_ONSTACK;
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  action.sa_handler = never_returns;
  OM_SYS(sigaction(SIGHUP, &action, nullptr));
  action.sa_handler = [](int) { _exit(g_steps == 6 ? 42 : 1); };
  OM_SYS(sigaction(SIGTERM, &action, nullptr));
  action.sa_handler = second;
  action.sa_flags = 0;
  OM_SYS(sigaction(SIGUSR2, &action, nullptr));
  OM_SYS(getcontext(&g_coroutine));
  g_coroutine.uc_stack.ss_sp = g_coroutine_stack;
  g_coroutine.uc_stack.ss_size = sizeof g_coroutine_stack;
  makecontext(&g_coroutine, coroutine, 0);
  arm();
  for (int i = 0; i < 3; ++i) OM_CHECK_EQ(raise(SIGUSR1), 0);
  om_test_ready();
  om_test_wait_moved();
  for (int i = 0; i < 3; ++i) OM_CHECK_EQ(raise(SIGUSR1), 0);
  OM_CHECK_EQ(g_steps, 6);
  OM_CHECK_EQ(g_inner, 6);
  OM_CHECK_EQ(stack_flags(), kAutodisarm);
  volatile bool back = false;
  OM_SYS(getcontext(&g_main));
  if (!back) {
    back = true;
    OM_CHECK_EQ(raise(SIGHUP), 0);
    OM_CHECK(false);
  }
  // setcontext() has not set the stack again: SS_AUTODISARM leaves that to sigreturn.
  OM_CHECK_EQ(stack_flags(), SS_DISABLE);
  raise(SIGTERM);
  OM_CHECK(false);
}

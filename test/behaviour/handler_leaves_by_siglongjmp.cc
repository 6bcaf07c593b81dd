// SPDX-License-Identifier: Apache-2.0
//
// siglongjmp() out of a handler, from user code and out of a blocked call, restores stack and mask.
// om-points: 2
#include "test/lib/om_test.h"

#include <setjmp.h>
#include <signal.h>

static sigjmp_buf g_buffer;

static void check_unblocked() {
  sigset_t now;
  OM_SYS(sigprocmask(SIG_BLOCK, nullptr, &now));
  OM_CHECK_EQ(sigismember(&now, SIGUSR1), 0);
}

int main() {
  struct sigaction action {};
  action.sa_handler = [](int) { siglongjmp(g_buffer, 5); };
  action.sa_flags = SA_RESTART;
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  static int ends[2];
  OM_SYS(pipe(ends));
  static pid_t parent = getpid();
  static pid_t first = om_test_helper([] { OM_SYS(kill(parent, SIGUSR1)); }, 1);
  static pid_t second = om_test_helper([] { OM_SYS(kill(parent, SIGUSR1)); }, 2);
  if (sigsetjmp(g_buffer, 1) == 0) {
    om_test_ready();
    for (;;) asm volatile("");
  }
  check_unblocked();
  om_test_wait_moved();
  om_test_join(first);
  if (sigsetjmp(g_buffer, 1) == 0) {
    char c;
    om_test_ready_blocking("read");
    OM_CHECK_EQ(read(ends[0], &c, 1), 1);
    OM_CHECK(false);
  }
  check_unblocked();
  om_test_wait_moved();
  om_test_join(second);
  OM_CHECK_EQ(write(ends[1], "x", 1), 1);
  char c;
  OM_CHECK_EQ(read(ends[0], &c, 1), 1);
}

// SPDX-License-Identifier: Apache-2.0
//
// ITIMER_VIRTUAL counts the CPU time of the program, wherever it is used: SIGVTALRM comes while
// computing and not before the time has been used. While it is armed the process stays at home.
// om-expect: refused CPU_TIMER
#include "test/lib/om_test.h"

#include <signal.h>
#include <sys/time.h>

static volatile sig_atomic_t g_fired;

int main() {
  struct sigaction action {};
  action.sa_handler = [](int) { g_fired = g_fired + 1; };
  action.sa_flags = SA_RESTART;
  OM_SYS(sigaction(SIGVTALRM, &action, nullptr));
  itimerval when{{0, 0}, {0, 300000}};
  int64_t start = om_test_ns();
  OM_SYS(setitimer(ITIMER_VIRTUAL, &when, nullptr));
  om_test_ready();
  om_test_wait_moved();  // takes no CPU time to speak of: the timer is armed when the move is refused
  while (g_fired == 0) continue;
  OM_CHECK_TIME(start, 250 * kMilli);
  OM_CHECK_EQ(g_fired, 1);
  itimerval now{{1, 1}, {1, 1}};
  OM_SYS(getitimer(ITIMER_VIRTUAL, &now));
  OM_CHECK_EQ(now.it_value.tv_sec, 0);
  OM_CHECK_EQ(now.it_value.tv_usec, 0);
}

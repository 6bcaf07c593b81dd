// SPDX-License-Identifier: Apache-2.0
//
// setitimer(ITIMER_REAL) ticks before and after the move; a computing thread sees every handler
// call.
#include "test/lib/om_test.h"

#include <signal.h>
#include <sys/time.h>

static volatile sig_atomic_t g_ticks;

static void wait_ticks(int more) {
  for (int until = g_ticks + more; g_ticks < until;) continue;
}

int main() {
  struct sigaction action {};
  action.sa_handler = [](int) { g_ticks = g_ticks + 1; };
  action.sa_flags = SA_RESTART;
  OM_SYS(sigaction(SIGALRM, &action, nullptr));
  itimerval when{{0, 20000}, {0, 20000}};
  int64_t start = om_test_ns();
  OM_SYS(setitimer(ITIMER_REAL, &when, nullptr));
  wait_ticks(3);
  om_test_ready();
  om_test_wait_moved();
  wait_ticks(10);
  OM_CHECK_TIME(start, 13 * 19 * kMilli);
  OmGuardedOut<itimerval> now;
  OM_SYS(getitimer(ITIMER_REAL, &now));
  OM_CHECK_EQ(now->it_interval.tv_usec, 20000);
  OM_CHECK_EQ(now->it_interval.tv_sec, 0);
  itimerval off{};
  OM_SYS(setitimer(ITIMER_REAL, &off, &now));
  OM_CHECK_EQ(now->it_interval.tv_usec, 20000);
  int count = g_ticks;
  int64_t quiet = om_test_ns();
  while (om_test_ns() - quiet < 100 * kMilli) continue;
  OM_CHECK_EQ(g_ticks, count);
}

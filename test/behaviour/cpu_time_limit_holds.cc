// SPDX-License-Identifier: Apache-2.0
//
// RLIMIT_CPU that is set after the move holds: SIGXCPU comes when that time has been used, wherever it was used.
// om-transient: CPU_TIMER
#include "test/lib/om_test.h"

#include <signal.h>
#include <sys/resource.h>

static volatile sig_atomic_t g_exceeded;

int main() {
  struct sigaction action {};
  action.sa_handler = [](int) { g_exceeded = 1; };
  OM_SYS(sigaction(SIGXCPU, &action, nullptr));
  om_test_ready();
  om_test_wait_moved();
  rlimit limit{};
  OM_SYS(getrlimit(RLIMIT_CPU, &limit));
  limit.rlim_cur = 1;
  OM_SYS(setrlimit(RLIMIT_CPU, &limit));
  while (g_exceeded == 0) OM_CHECK(om_test_ns(CLOCK_PROCESS_CPUTIME_ID) < 3 * kSecond);
  // Not much earlier; the kernel counts its ticks, which on a busy machine are far from the clock's nanoseconds.
  OM_CHECK(om_test_ns(CLOCK_PROCESS_CPUTIME_ID) > 500 * kMilli);
  OM_SYS(getrlimit(RLIMIT_CPU, &limit));
  OM_CHECK(limit.rlim_cur >= 1);
}

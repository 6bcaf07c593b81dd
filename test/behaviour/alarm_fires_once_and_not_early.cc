// SPDX-License-Identifier: Apache-2.0
//
// alarm() set before the move interrupts pause() after its time; the remaining time is told
// meanwhile.
#include "test/lib/om_test.h"

#include <signal.h>

static volatile sig_atomic_t g_count;

int main() {
  struct sigaction action {};
  action.sa_handler = [](int) { g_count = g_count + 1; };
  OM_SYS(sigaction(SIGALRM, &action, nullptr));
  OM_CHECK_EQ(alarm(100), 0);
  int64_t start = om_test_ns();
  unsigned left = alarm(2);
  OM_CHECK(left >= 99 && left <= 100);
  om_test_ready_blocking("pause");
  OM_CHECK_ERRNO(pause(), EINTR);
  OM_CHECK_TIME(start, 2 * kSecond);
  OM_CHECK_EQ(g_count, 1);
  om_test_wait_moved();
  OM_CHECK_EQ(alarm(0), 0);
}

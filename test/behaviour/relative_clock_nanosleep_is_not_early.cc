// SPDX-License-Identifier: Apache-2.0
//
// clock_nanosleep() of a relative time on the wall clock and on the monotonic clock.
// om-points: 2
#include "test/lib/om_test.h"

static void sleep_on(clockid_t clock) {
  timespec length{1, 100000000};
  om_test_ready_blocking("clock_nanosleep");
  int64_t start = om_test_ns();
  OM_CHECK_EQ(clock_nanosleep(clock, 0, &length, nullptr), 0);
  OM_CHECK_TIME(start, 1100 * kMilli);
  om_test_wait_moved();
}

int main() {
  sleep_on(CLOCK_MONOTONIC);
  sleep_on(CLOCK_REALTIME);
}

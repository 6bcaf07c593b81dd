// SPDX-License-Identifier: Apache-2.0
//
// clock_nanosleep() until a point in time, asleep during the move; a point in the past returns at
// once.
#include "test/lib/om_test.h"

int main() {
  int64_t until = om_test_ns() + 1300 * kMilli;
  timespec when{until / kSecond, until % kSecond};
  om_test_ready_blocking("clock_nanosleep");
  OM_CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, nullptr), 0);
  OM_CHECK_TIME(until, 0);
  om_test_wait_moved();
  int64_t again = om_test_ns();
  OM_CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, nullptr), 0);
  OM_CHECK_TIME(again, 0);
}

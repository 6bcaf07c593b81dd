// SPDX-License-Identifier: Apache-2.0
//
// read() of a timerfd is blocked across the move and ends when the timer expires, not before.
#include "test/lib/om_test.h"

#include <sys/timerfd.h>

int main() {
  int timer = OM_SYS(timerfd_create(CLOCK_MONOTONIC, 0));
  itimerspec when{};
  when.it_value = {1, 300000000};
  int64_t start = om_test_ns();
  OM_SYS(timerfd_settime(timer, 0, &when, nullptr));
  OmGuardedOut<uint64_t> expirations;
  om_test_ready_blocking("read");
  OM_CHECK_EQ(read(timer, &expirations, 8), 8);
  OM_CHECK_TIME(start, 1300 * kMilli);
  OM_CHECK_EQ(*expirations, 1);
  om_test_wait_moved();
}

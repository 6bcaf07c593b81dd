// SPDX-License-Identifier: Apache-2.0
//
// A periodic timerfd counts expirations during the move; settings read back; changes after it work.
#include "test/lib/om_test.h"

#include <sys/timerfd.h>

int main() {
  int timer = OM_SYS(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
  itimerspec when{{0, 100000000}, {0, 100000000}};
  int64_t start = om_test_ns();
  OM_SYS(timerfd_settime(timer, 0, &when, nullptr));
  om_test_ready();
  om_test_wait_moved();
  while (om_test_ns() - start < 350 * kMilli) continue;
  OmGuardedOut<uint64_t> count;
  OM_CHECK_EQ(read(timer, &count, 8), 8);
  OM_CHECK(*count >= 3);
  OM_CHECK(*count <= static_cast<uint64_t>((om_test_ns() - start) / (100 * kMilli)));
  OmGuardedOut<itimerspec> now;
  OM_SYS(timerfd_gettime(timer, &now));
  OM_CHECK_EQ(now->it_interval.tv_nsec, 100000000);
  OM_CHECK_EQ(now->it_value.tv_sec, 0);
  itimerspec off{};
  OM_SYS(timerfd_settime(timer, 0, &off, &now));
  OM_CHECK_EQ(now->it_interval.tv_nsec, 100000000);
  OM_CHECK_ERRNO(read(timer, &count, 8), EAGAIN);
}

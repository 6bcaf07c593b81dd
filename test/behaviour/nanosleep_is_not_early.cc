// SPDX-License-Identifier: Apache-2.0
//
// nanosleep() is under way during the move and lasts as long as asked.
#include "test/lib/om_test.h"

#include <sys/syscall.h>

int main() {
  timespec length{1, 400000000};
  om_test_ready_blocking("nanosleep");
  int64_t start = om_test_ns();
  OM_CHECK_EQ(syscall(SYS_nanosleep, &length, nullptr), 0);
  OM_CHECK_TIME(start, 1400 * kMilli);
  om_test_wait_moved();
}

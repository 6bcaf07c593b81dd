// SPDX-License-Identifier: Apache-2.0
//
// select() with a timeout is blocked across the move, times out, and clears its sets.
#include "test/lib/om_test.h"

#include <sys/select.h>
#include <sys/syscall.h>

int main() {
  int ends[2];
  OM_SYS(pipe(ends));
  fd_set in;
  FD_ZERO(&in);
  FD_SET(ends[0], &in);
  OmGuardedOut<timeval> limit;
  *limit = {1, 200000};
  om_test_ready_blocking("select");
  int64_t start = om_test_ns();
  OM_CHECK_EQ(syscall(SYS_select, ends[0] + 1, &in, nullptr, nullptr, &limit), 0);
  OM_CHECK_TIME(start, 1200 * kMilli);
  OM_CHECK(!FD_ISSET(ends[0], &in));
  OM_CHECK_EQ(limit->tv_sec, 0);
  OM_CHECK_EQ(limit->tv_usec, 0);
  om_test_wait_moved();
}

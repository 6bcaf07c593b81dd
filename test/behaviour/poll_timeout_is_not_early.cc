// SPDX-License-Identifier: Apache-2.0
//
// poll() with a timeout is blocked across the move and times out, not early.
#include "test/lib/om_test.h"

#include <poll.h>

int main() {
  int ends[2];
  OM_SYS(pipe(ends));
  pollfd one{ends[0], POLLIN, 77};
  om_test_ready_blocking("poll");
  int64_t start = om_test_ns();
  OM_CHECK_EQ(poll(&one, 1, 1300), 0);
  OM_CHECK_TIME(start, 1300 * kMilli);
  OM_CHECK_EQ(one.revents, 0);
  om_test_wait_moved();
}

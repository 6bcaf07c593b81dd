// SPDX-License-Identifier: Apache-2.0
//
// epoll_wait() with a timeout, whose remaining time the kernel does not keep when it is
// interrupted.
#include "test/lib/om_test.h"

#include <sys/epoll.h>

int main() {
  int set = OM_SYS(epoll_create1(0));
  epoll_event event;
  om_test_ready_blocking("epoll_wait|epoll_pwait");
  int64_t start = om_test_ns();
  OM_CHECK_EQ(epoll_wait(set, &event, 1, 1300), 0);
  OM_CHECK_TIME(start, 1300 * kMilli);
  om_test_wait_moved();
}

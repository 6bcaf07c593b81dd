// SPDX-License-Identifier: Apache-2.0
//
// epoll_wait() is blocked across the move; the interest list, its user data and one-shot state are
// kept.
#include "test/lib/om_test.h"

#include <sys/epoll.h>

int main() {
  int first[2], second[2];
  OM_SYS(pipe(first));
  OM_SYS(pipe(second));
  int set = OM_SYS(epoll_create1(0));
  epoll_event event{EPOLLIN | EPOLLONESHOT, {.u64 = 0x1234567890abcdef}};
  OM_SYS(epoll_ctl(set, EPOLL_CTL_ADD, first[0], &event));
  event = {EPOLLIN | EPOLLET, {.u64 = 2}};
  OM_SYS(epoll_ctl(set, EPOLL_CTL_ADD, second[0], &event));
  pid_t writer = om_test_helper([&] { OM_CHECK_EQ(write(first[1], "x", 1), 1); });
  OmGuardedOut<epoll_event[2]> found;
  om_test_ready_blocking("epoll_wait|epoll_pwait");
  OM_CHECK_EQ(epoll_wait(set, *found, 2, -1), 1);
  OM_CHECK_EQ((*found)[0].data.u64, 0x1234567890abcdef);
  OM_CHECK_EQ((*found)[0].events, EPOLLIN);
  om_test_join(writer);
  OM_CHECK_EQ(write(second[1], "y", 1), 1);
  OM_CHECK_EQ(epoll_wait(set, *found, 2, -1), 1);
  OM_CHECK_EQ((*found)[0].data.u64, 2);
  OM_CHECK_EQ(epoll_wait(set, *found, 2, 0), 0);
}

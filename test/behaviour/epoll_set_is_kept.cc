// SPDX-License-Identifier: Apache-2.0
//
// An epoll set with level, edge and one-shot members, nested in another one, is the same after the
// move and can be changed.
#include "test/lib/om_test.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

static int set_with(int fd, uint32_t events, uint64_t data) {
  int set = OM_SYS(epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{events, {.u64 = data}};
  OM_SYS(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
  return set;
}

static void expect(int set, int count, uint64_t data) {
  OmGuardedOut<epoll_event[3]> found;
  OM_CHECK_EQ(epoll_wait(set, *found, 3, 0), count);
  if (count > 0) OM_CHECK_EQ((*found)[0].data.u64, data);
}

int main() {
  int event = OM_SYS(eventfd(1, EFD_NONBLOCK));
  int level = set_with(event, EPOLLIN, 10), edge = set_with(event, EPOLLIN | EPOLLET, 20);
  int once = set_with(event, EPOLLIN | EPOLLONESHOT, 30), outer = set_with(level, EPOLLIN, 40);
  expect(level, 1, 10);
  expect(edge, 1, 20);
  expect(once, 1, 30);
  om_test_ready();
  om_test_wait_moved();
  expect(level, 1, 10);
  expect(edge, 0, 0);
  expect(once, 0, 0);
  expect(outer, 1, 40);
  uint64_t one = 1;
  OM_CHECK_EQ(write(event, &one, 8), 8);
  expect(edge, 1, 20);
  epoll_event change{EPOLLIN | EPOLLONESHOT, {.u64 = 31}};
  OM_SYS(epoll_ctl(once, EPOLL_CTL_MOD, event, &change));
  expect(once, 1, 31);
  OM_CHECK_ERRNO(epoll_ctl(level, EPOLL_CTL_ADD, event, &change), EEXIST);
  OM_SYS(epoll_ctl(level, EPOLL_CTL_DEL, event, nullptr));
  expect(level, 0, 0);
  expect(outer, 0, 0);
  OM_CHECK_ERRNO(epoll_ctl(level, EPOLL_CTL_DEL, event, nullptr), ENOENT);
}

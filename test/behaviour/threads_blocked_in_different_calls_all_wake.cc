// SPDX-License-Identifier: Apache-2.0
//
// Six threads wait in six different calls during the same move.
#include "test/lib/om_test.h"

#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>

int main() {
  int event[4];
  for (int& fd : event) fd = OM_SYS(eventfd(0, 0));
  int set = OM_SYS(epoll_create1(0));
  epoll_event interest{EPOLLIN, {.u64 = 3}};
  OM_SYS(epoll_ctl(set, EPOLL_CTL_ADD, event[2], &interest));
  sem_t semaphore;
  OM_SYS(sem_init(&semaphore, 0, 0));
  int64_t start = om_test_ns();
  OmThread reader([&] {
    uint64_t value = 0;
    OM_CHECK_EQ(read(event[0], &value, 8), 8);
  });
  OmThread poller([&] {
    pollfd one{event[1], POLLIN, 0};
    OM_CHECK_EQ(poll(&one, 1, -1), 1);
  });
  OmThread epoller([&] {
    epoll_event found;
    OM_CHECK_EQ(epoll_wait(set, &found, 1, -1), 1);
    OM_CHECK_EQ(found.data.u64, 3);
  });
  OmThread waiter([&] { OM_CHECK_EQ(sem_wait(&semaphore), 0); });
  OmThread sleeper([] {
    timespec length{0, 900000000};
    OM_CHECK_EQ(nanosleep(&length, nullptr), 0);
  });
  OmThread selecter([&] {
    fd_set in;
    FD_ZERO(&in);
    FD_SET(event[3], &in);
    OM_CHECK_EQ(select(event[3] + 1, &in, nullptr, nullptr, nullptr), 1);
  });
  om_test_ready();
  om_test_wait_moved();
  uint64_t one = 1;
  for (int fd : event) OM_CHECK_EQ(write(fd, &one, 8), 8);
  OM_SYS(sem_post(&semaphore));
  for (OmThread* thread : {&reader, &poller, &epoller, &waiter, &sleeper, &selecter})
    thread->join();
  OM_CHECK_TIME(start, 900 * kMilli);
}

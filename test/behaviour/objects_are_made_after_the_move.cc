// SPDX-License-Identifier: Apache-2.0
//
// What other programs had before the move is made after it: queues, semaphores, watches, timers,
// sockets with names, attributes, links.
#include "test/lib/om_test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/xattr.h>

static void check_queues() {
  int queue = msgget(IPC_PRIVATE, 0600), set = semget(IPC_PRIVATE, 1, 0600);
  if (queue >= 0) OM_SYS(msgctl(queue, IPC_RMID, nullptr));
  if (set >= 0) {
    sembuf up{0, 1, 0}, down{0, -1, IPC_NOWAIT};
    int first = semop(set, &up, 1), second = semop(set, &down, 1);
    OM_SYS(semctl(set, 0, IPC_RMID));
    OM_CHECK_EQ(first + second, 0);
  }
  char name[64];
  snprintf(name, sizeof name, "/om-behaviour-%d", getpid());
  mqd_t messages = mq_open(name, O_RDWR | O_CREAT, 0600, nullptr);
  if (messages >= 0) OM_SYS(mq_unlink(name));
}

static void check_waiting() {
  int notify = OM_SYS(inotify_init1(IN_NONBLOCK)), set = OM_SYS(epoll_create1(0));
  OM_SYS(inotify_add_watch(notify, ".", IN_CREATE));
  epoll_event event{EPOLLIN, {.u64 = 1}};
  OM_SYS(epoll_ctl(set, EPOLL_CTL_ADD, notify, &event));
  sigset_t none;
  sigemptyset(&none);
  OM_CHECK_EQ(epoll_pwait(set, &event, 1, 0, &none), 0);
  OM_SYS(close(OM_SYS(creat("new", 0600))));
  OM_CHECK_EQ(epoll_pwait(set, &event, 1, -1, &none), 1);
  int timer = OM_SYS(timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC));
  itimerspec when{{0, 0}, {0, 30000000}};
  int64_t start = om_test_ns();
  OM_SYS(timerfd_settime(timer, 0, &when, nullptr));
  uint64_t count = 0;
  OM_CHECK_EQ(read(timer, &count, 8), 8);
  OM_CHECK_TIME(start, 30 * kMilli);
}

int main() {
  om_test_ready();
  om_test_wait_moved();
  check_queues();
  check_waiting();
  OM_SYS(linkat(AT_FDCWD, "new", AT_FDCWD, "second", 0));
  if (setxattr("new", "user.later", "v", 1, 0) != 0) OM_CHECK_EQ(errno, EOPNOTSUPP);
  int fd = OM_SYS(socket(AF_INET, SOCK_DGRAM, 0));
  OmGuardedOut<sockaddr_in> address;
  address->sin_family = AF_INET;
  address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  OM_SYS(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(sockaddr_in)));
  OmGuardedOut<socklen_t> bytes;
  *bytes = sizeof(sockaddr_in);
  OM_SYS(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &bytes));
  OM_CHECK_EQ(*bytes, sizeof(sockaddr_in));
  OM_CHECK(ntohs(address->sin_port) != 0);
  OM_SYS(unlink("new"));
  OM_SYS(unlink("second"));
}

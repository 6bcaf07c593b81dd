// SPDX-License-Identifier: Apache-2.0
//
// Threads are blocked across the move, each in another cancellation point: pthread_cancel() ends every one of them,
// runs its cleanup handlers in order and lets go of what it held. So it does with a thread that computes
// (asynchronously, or at its next pthread_testcancel()) and, later, with one that had switched cancellation off.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <atomic>

static int g_empty[2], g_full[2], g_pair[2], g_listener, g_epoll, g_queue, g_locked;
static mqd_t g_messages;
static pid_t g_child;
static sem_t g_semaphore;
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_condition = PTHREAD_COND_INITIALIZER;
static pthread_t g_endless;
static std::atomic<int> g_inside{0}, g_cleaned{0};
static char g_text[65536];
static const timespec kLong{1000, 0};

static timespec later() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  now.tv_sec += 1000;
  return now;
}
static void unlock(void*) { pthread_mutex_unlock(&g_mutex); }
static sigset_t nothing_wanted() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  return set;
}

using Point = void (*)();
static const Point kPoints[] = {
    [] { (void)!read(g_empty[0], g_text, 1); },
    [] {
      iovec part{g_text, 1};
      (void)!readv(g_empty[0], &part, 1);
    },
    [] { (void)!write(g_full[1], g_text, sizeof g_text); },
    [] { recv(g_pair[0], g_text, 1, 0); },
    [] {
      iovec part{g_text, 1};
      msghdr message{};
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      recvmsg(g_pair[0], &message, 0);
    },
    [] { accept(g_listener, nullptr, nullptr); },
    [] {
      pollfd one{g_empty[0], POLLIN, 0};
      poll(&one, 1, 1000000);
    },
    [] {
      pollfd one{g_empty[0], POLLIN, 0};
      ppoll(&one, 1, &kLong, nullptr);
    },
    [] {
      fd_set set;
      FD_ZERO(&set);
      FD_SET(g_empty[0], &set);
      select(g_empty[0] + 1, &set, nullptr, nullptr, nullptr);
    },
    [] { pselect(0, nullptr, nullptr, nullptr, &kLong, nullptr); },
    [] {
      epoll_event event;
      epoll_wait(g_epoll, &event, 1, -1);
    },
    [] {
      epoll_event event;
      sigset_t mask;
      sigemptyset(&mask);
      epoll_pwait(g_epoll, &event, 1, 1000000, &mask);
    },
    [] { nanosleep(&kLong, nullptr); },
    [] { clock_nanosleep(CLOCK_MONOTONIC, 0, &kLong, nullptr); },
    [] { pause(); },
    [] {
      sigset_t mask;
      sigemptyset(&mask);
      sigsuspend(&mask);
    },
    [] {
      const sigset_t set = nothing_wanted();
      int number;
      sigwait(&set, &number);
    },
    [] {
      const sigset_t set = nothing_wanted();
      sigtimedwait(&set, nullptr, &kLong);
    },
    [] { sem_wait(&g_semaphore); },
    [] {
      const timespec until = later();
      sem_timedwait(&g_semaphore, &until);
    },
    [] {
      pthread_mutex_lock(&g_mutex);
      pthread_cleanup_push(unlock, nullptr);
      for (;;) pthread_cond_wait(&g_condition, &g_mutex);
      pthread_cleanup_pop(1);
    },
    [] {
      pthread_mutex_lock(&g_mutex);
      pthread_cleanup_push(unlock, nullptr);
      const timespec until = later();
      for (;;) pthread_cond_timedwait(&g_condition, &g_mutex, &until);
      pthread_cleanup_pop(1);
    },
    [] { pthread_join(g_endless, nullptr); },
    [] { waitpid(g_child, nullptr, 0); },
    [] {
      siginfo_t info;
      waitid(P_PID, static_cast<id_t>(g_child), &info, WEXITED);
    },
    [] {
      if (g_queue >= 0) msgrcv(g_queue, g_text, 16, 0, 0);
    },
    [] {
      if (g_messages >= 0) mq_receive(g_messages, g_text, sizeof g_text, nullptr);
    },
    [] { open("fifo", O_RDONLY); },
    [] {
      struct flock lock {};
      lock.l_type = F_WRLCK;
      fcntl(g_locked, F_OFD_SETLKW, &lock);
    },
    [] {
      for (;;) pthread_testcancel();
    },
    [] {
      pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, nullptr);
      for (;;) asm volatile("");
    },
};
constexpr int kCount = sizeof kPoints / sizeof kPoints[0];

struct Order {
  int value;
};
static void outer(void* order) {
  OM_CHECK_EQ(static_cast<Order*>(order)->value, 1);
  ++g_cleaned;
}
static void inner(void* order) { OM_CHECK_EQ(static_cast<Order*>(order)->value++, 0); }

static void* run(void* argument) {
  Order order{0};
  pthread_cleanup_push(outer, &order);
  pthread_cleanup_push(inner, &order);
  ++g_inside;
  (*static_cast<const Point*>(argument))();
  // Not here, unless this system has no queues of some kind.
  for (;;) pause();
  pthread_cleanup_pop(0);
  pthread_cleanup_pop(0);
  return nullptr;
}

static void prepare() {
  OM_SYS(pipe(g_empty));
  OM_SYS(pipe(g_full));
  OM_SYS(fcntl(g_full[1], F_SETPIPE_SZ, 4096));
  OM_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, g_pair));
  g_listener = OM_SYS(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  strcpy(name.sun_path, "socket");
  OM_SYS(bind(g_listener, reinterpret_cast<sockaddr*>(&name), sizeof name));
  OM_SYS(listen(g_listener, 1));
  g_epoll = OM_SYS(epoll_create1(0));
  g_queue = msgget(IPC_PRIVATE, 0600);
  char path[64];
  snprintf(path, sizeof path, "/om-cancel-%d", getpid());
  g_messages = mq_open(path, O_RDWR | O_CREAT, 0600, nullptr);
  if (g_messages >= 0) OM_SYS(mq_unlink(path));
  OM_SYS(mkfifo("fifo", 0600));
  struct flock lock {};
  lock.l_type = F_WRLCK;
  OM_SYS(fcntl(OM_SYS(open("lock", O_RDWR | O_CREAT, 0600)), F_OFD_SETLK, &lock));
  g_locked = OM_SYS(open("lock", O_RDWR));
  OM_SYS(sem_init(&g_semaphore, 0, 0));
  g_child = OM_SYS(fork());
  if (g_child == 0) {
    OM_SYS(prctl(PR_SET_PDEATHSIG, SIGKILL));
    for (;;) pause();
  }
}

int main() {
  prepare();
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 131072);
  auto start = [&](pthread_t& thread, void* (*body)(void*), const void* argument) {
    OM_CHECK_EQ(pthread_create(&thread, &small, body, const_cast<void*>(argument)), 0);
  };
  start(g_endless, run, &kPoints[0]);
  pthread_t threads[kCount], reluctant;
  for (int i = 0; i < kCount; ++i) start(threads[i], run, &kPoints[i]);
  start(
      reluctant,
      [](void*) -> void* {
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
        char byte = 0;
        ++g_inside;
        OM_CHECK_EQ(read(g_pair[1], &byte, 1), 1);
        OM_CHECK_EQ(byte, 'r');
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, nullptr);
        pthread_testcancel();
        return nullptr;
      },
      nullptr);
  while (g_inside < kCount + 2) usleep(1000);
  usleep(10000);  // most of them are blocked by now; the others may be caught before
  om_test_ready();
  om_test_wait_moved();
  void* result = nullptr;
  OM_CHECK_EQ(pthread_cancel(reluctant), 0);
  for (int i = 0; i < kCount; ++i) {
    OM_CHECK_EQ(pthread_cancel(threads[i]), 0);
    OM_CHECK_EQ(pthread_join(threads[i], &result), 0);
    OM_CHECK(result == PTHREAD_CANCELED);
    OM_CHECK_EQ(g_cleaned.load(), i + 1);
  }
  OM_CHECK_EQ(pthread_mutex_trylock(&g_mutex), 0);
  OM_CHECK_EQ(write(g_pair[0], "r", 1), 1);
  OM_CHECK_EQ(pthread_join(reluctant, &result), 0);
  OM_CHECK(result == PTHREAD_CANCELED);
  OM_CHECK_EQ(pthread_cancel(g_endless), 0);
  OM_CHECK_EQ(pthread_join(g_endless, &result), 0);
  if (g_queue >= 0) OM_SYS(msgctl(g_queue, IPC_RMID, nullptr));
  OM_SYS(kill(g_child, SIGKILL));
  OM_SYS(waitpid(g_child, nullptr, 0));
}

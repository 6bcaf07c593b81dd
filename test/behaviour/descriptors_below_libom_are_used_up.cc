// SPDX-License-Identifier: Apache-2.0
//
// A program with several threads has all descriptor numbers open but the highest ones, of which libom takes its own
// (a quarter of the hard limit and one more), or all but a few. It moves, its descriptors stay, and it can start
// threads.
// om-points: moves
// om-stays: away
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/resource.h>

#include <vector>

constexpr int kHard = 2048, kLibom = kHard - kHard / 4 - 1;
static sem_t g_asked, g_answered;

static void* answer(void*) {
  for (;;) {
    while (sem_wait(&g_asked) != 0) OM_CHECK_EQ(errno, EINTR);
    OM_SYS(sem_post(&g_answered));
  }
}

static void* echo(void* given) { return given; }

int main() {
  rlimit limit{};
  OM_SYS(getrlimit(RLIMIT_NOFILE, &limit));
  if (limit.rlim_max < kHard) om_test_skip("not so many descriptors are allowed");
  OM_SYS(sem_init(&g_asked, 0, 0));
  OM_SYS(sem_init(&g_answered, 0, 0));
  constexpr int kThreads = 5;
  for (int n = 0; n < kThreads; ++n) {
    pthread_t thread;
    OM_CHECK_EQ(pthread_create(&thread, nullptr, answer, nullptr), 0);
    OM_CHECK_EQ(pthread_detach(thread), 0);
  }
  const int points = om_test_moves() > 1 ? om_test_moves() : 1;
  for (int i = 0; i < points; ++i) {
    // To announce the next point takes one, and away there are none above.
    limit.rlim_cur = i < 2 ? kHard : kLibom;
    limit.rlim_max = kHard;
    OM_SYS(setrlimit(RLIMIT_NOFILE, &limit));
    std::vector<int> all;
    for (int fd = -1; fd < kLibom - 1;) {
      fd = open("/dev/null", O_RDWR);
      OM_CHECK(fd >= 0);
      all.push_back(fd);
    }
    for (int free = i == 0 ? 0 : 1 + i % 3; free > 0; --free) {
      const auto at = all.begin() + static_cast<long>(all.size() / 2);
      OM_SYS(close(*at));
      all.erase(at);
    }
    om_test_ready();
    om_test_wait_moved();
    pthread_t thread;
    OM_CHECK_EQ(pthread_create(&thread, nullptr, echo, &all), 0);
    OM_CHECK_EQ(pthread_join(thread, nullptr), 0);
    for (int n = 0; n < kThreads; ++n) OM_SYS(sem_post(&g_asked));
    for (int n = 0; n < kThreads; ++n) {
      while (sem_wait(&g_answered) != 0) OM_CHECK_EQ(errno, EINTR);
    }
    for (const int fd : all) {
      OM_CHECK_EQ(write(fd, "x", 1), 1);
      OM_SYS(close(fd));
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
//
// A program that has used up its descriptor numbers starts threads, which needs none. Meanwhile another thread tries to
// open a file, for which it has EMFILE. So it is with a limit that is the hard one, and with one far below; and with a
// hard limit that leaves no room above those of the program.
// om-points: moves
// om-stays: away
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>

#include <atomic>
#include <vector>

static std::atomic<bool> g_stop;
static int g_most;  // numbers that the program has at least

static void* open_always(void*) {
  while (!g_stop) {
    const int fd = open("/dev/null", O_RDWR);
    if (fd < 0) OM_CHECK_EQ(errno, EMFILE);
    if (fd >= 0) {  // what has come home meanwhile has room for more
      OM_CHECK(fd >= g_most);
      OM_CHECK_EQ(write(fd, "x", 1), 1);
      OM_SYS(close(fd));
    }
    rlimit limit{};
    OM_SYS(getrlimit(RLIMIT_NOFILE, &limit));
    OM_CHECK(limit.rlim_cur == 300 || limit.rlim_cur == 2048);
  }
  return nullptr;
}

static void* echo(void* given) { return given; }

static void run_thread() {
  int given = 0;
  pthread_t thread;
  OM_CHECK_EQ(pthread_create(&thread, nullptr, echo, &given), 0);
  void* result = nullptr;
  OM_CHECK_EQ(pthread_join(thread, &result), 0);
  OM_CHECK(result == &given);
}

static void set_limit(rlim_t soft, rlim_t hard) {
  const rlimit limit{soft, hard};
  OM_SYS(setrlimit(RLIMIT_NOFILE, &limit));
}

int main() {
  rlimit limit{};
  OM_SYS(getrlimit(RLIMIT_NOFILE, &limit));
  if (limit.rlim_max < 2048) om_test_skip("not so many descriptors are allowed");
  const int points = om_test_moves() > 1 ? om_test_moves() : 1;
  for (int i = 0; i < points; ++i) {
    set_limit(i < 2 ? 2048 : 300, 2048);
    om_test_ready();
    om_test_wait_moved();
    std::vector<int> all;
    for (int fd; (fd = open("/dev/null", O_RDWR)) >= 0;) all.push_back(fd);
    OM_CHECK_EQ(errno, EMFILE);
    g_most = all.back() + 1;
    // The first finds no number free either.
    g_stop = false;
    pthread_t opener;
    OM_CHECK_EQ(pthread_create(&opener, nullptr, open_always, nullptr), 0);
    for (int n = 0; n < 10; ++n) run_thread();
    g_stop = true;
    OM_CHECK_EQ(pthread_join(opener, nullptr), 0);
    for (const int fd : all) {
      OM_CHECK_EQ(write(fd, "x", 1), 1);
      OM_SYS(close(fd));
    }
  }
  set_limit(300, 300);
  run_thread();
}

// SPDX-License-Identifier: Apache-2.0
//
// A program that opens as many descriptors as its limit allows can use all of them, then has EMFILE, and none is closed
// by a thread that it starts; so it is after it has raised the limit.
// om-points: moves
// om-transient: FD_LIMIT
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>

#include <vector>

static void set_limit(rlim_t soft, rlim_t hard) {
  const rlimit limit{soft, hard};
  OM_SYS(setrlimit(RLIMIT_NOFILE, &limit));
}

static std::vector<int> open_all() {
  std::vector<int> all;
  for (;;) {
    const int fd = open("/dev/null", O_RDWR);
    if (fd < 0) break;
    all.push_back(fd);
  }
  OM_CHECK_EQ(errno, EMFILE);
  return all;
}

static void check(const std::vector<int>& all) {
  for (const int fd : all) OM_CHECK_EQ(write(fd, "x", 1), 1);
}

// What comes home meanwhile has room for more.
static void add_more(std::vector<int>& all) {
  int ends[2];
  if (pipe(ends) == 0) {
    OM_CHECK_EQ(write(ends[1], "x", 1), 1);
    OM_SYS(close(ends[0]));
    OM_SYS(close(ends[1]));
  } else {
    OM_CHECK_EQ(errno, EMFILE);
  }
  const int copy = fcntl(all[0], F_DUPFD, 1700);
  if (copy >= 0) all.push_back(copy);
  if (copy < 0) OM_CHECK_EQ(errno, EMFILE);
}

static void* nothing(void*) { return nullptr; }

int main() {
  rlimit limit{};
  OM_SYS(getrlimit(RLIMIT_NOFILE, &limit));
  if (limit.rlim_max < 2048) om_test_skip("not so many descriptors are allowed");
  const int points = om_test_moves() > 1 ? om_test_moves() : 1;
  set_limit(2048, 2048);
  for (int i = 0; i < points; ++i) {
    om_test_ready();
    om_test_wait_moved();
    if (i > 0) set_limit(2048, 2048);  // was lowered behind the last move
    std::vector<int> all = open_all();
    OM_CHECK(all.size() > 1000);
    check(all);
    add_more(all);
    for (int n = 0; n < 8; ++n) {  // a thread may need a few for a moment
      close(all.back());
      all.pop_back();
    }
    pthread_t thread;
    OM_CHECK_EQ(pthread_create(&thread, nullptr, nothing, nullptr), 0);
    OM_CHECK_EQ(pthread_join(thread, nullptr), 0);
    check(all);
    for (const int fd : all) OM_SYS(close(fd));
    set_limit(256, 2048);
  }
}

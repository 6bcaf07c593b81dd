// SPDX-License-Identifier: Apache-2.0
//
// With thousands of descriptors open and an epoll set over a thousand pipes every byte arrives, before and after.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <vector>

constexpr int kPipes = 1000, kMore = 1500;

static void round_of(int set, const std::vector<int>& ends) {
  for (int i = 0; i < kPipes; ++i)
    OM_CHECK_EQ(write(ends[static_cast<size_t>(2 * i + 1)], "x", 1), 1);
  std::vector<epoll_event> events(kPipes);
  std::vector<bool> seen(kPipes);
  OM_CHECK_EQ(epoll_wait(set, events.data(), kPipes, 0), kPipes);
  for (const epoll_event& event : events) {
    char byte;
    OM_CHECK_EQ(read(ends[2 * event.data.u32], &byte, 1), 1);
    OM_CHECK(!seen[event.data.u32]);
    seen[event.data.u32] = true;
  }
}

int main() {
  rlimit limit{};
  OM_SYS(getrlimit(RLIMIT_NOFILE, &limit));
  if (limit.rlim_max < 8192) om_test_skip("not so many descriptors are allowed");
  limit.rlim_cur = limit.rlim_max;
  OM_SYS(setrlimit(RLIMIT_NOFILE, &limit));
  const int set = OM_SYS(epoll_create1(0));
  std::vector<int> ends(2 * kPipes);
  for (uint32_t i = 0; i < kPipes; ++i) {
    OM_SYS(pipe(&ends[2 * i]));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = i;
    OM_SYS(epoll_ctl(set, EPOLL_CTL_ADD, ends[2 * i], &event));
  }
  int last = set;
  for (int i = 0; i < kMore; ++i) last = OM_SYS(open("/dev/null", O_RDONLY));
  round_of(set, ends);
  om_test_ready();
  om_test_wait_moved();
  round_of(set, ends);
  OM_CHECK_EQ(open("/dev/null", O_RDONLY), last + 1);
}

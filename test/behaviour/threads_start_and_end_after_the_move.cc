// SPDX-License-Identifier: Apache-2.0
//
// After the move threads are made, pass results through join, have ids of their own and leave none
// behind.
#include "test/lib/om_test.h"

#include <dirent.h>
#include <stdio.h>
#include <thread>
#include <vector>

static int tasks() {
  int count = 0;
  DIR* directory = opendir("/proc/self/task");
  OM_CHECK(directory != nullptr);
  while (dirent* entry = readdir(directory)) count += entry->d_name[0] != '.';
  closedir(directory);
  return count;
}

// A thread is in /proc for a moment after it was joined.
static void wait_alone() {
  int64_t start = om_test_ns();
  while (tasks() != 1) OM_CHECK(om_test_ns() - start < 20 * kSecond);
}

int main() {
  OM_CHECK_EQ(tasks(), 1);
  om_test_ready();
  om_test_wait_moved();
  for (int round = 0; round < 10; ++round) {
    pid_t tids[8];
    std::vector<std::thread> threads;
    for (pid_t& tid : tids) threads.emplace_back([&tid] { tid = gettid(); });
    for (std::thread& thread : threads) thread.join();
    for (pid_t tid : tids) OM_CHECK(tid > 0 && tid != getpid());
  }
  wait_alone();
  std::thread one([] {
    OM_CHECK_EQ(tasks(), 2);
    OM_CHECK(gettid() != getpid());
  });
  one.join();
  wait_alone();
  OM_CHECK_EQ(gettid(), getpid());
}

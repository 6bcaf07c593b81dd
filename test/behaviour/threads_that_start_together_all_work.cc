// SPDX-License-Identifier: Apache-2.0
//
// Many threads start at once where none has been before: each gets through with its first calls, and the limit
// of open files is what it was.
#include "test/lib/om_test.h"

#include <sys/resource.h>
#include <atomic>
#include <thread>
#include <vector>

int main() {
  constexpr int kThreads = 60;
  const rlimit before{1024, 4096};
  OM_CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  om_test_ready();
  om_test_wait_moved();
  std::atomic<int> started{0}, wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      ++started;
      for (int call = 0; call < 5; ++call) {
        int ends[2];
        char byte = 'x';
        if (pipe(ends) != 0 || write(ends[1], &byte, 1) != 1 || read(ends[0], &byte, 1) != 1)
          ++wrong;
        close(ends[0]);
        close(ends[1]);
        while (call == 0 && started < kThreads) usleep(1000);  // none ends before all have begun
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  OM_CHECK_EQ(wrong.load(), 0);
  rlimit after{};
  OM_CHECK_EQ(getrlimit(RLIMIT_NOFILE, &after), 0);
  OM_CHECK(after.rlim_cur == before.rlim_cur && after.rlim_max == before.rlim_max);
}

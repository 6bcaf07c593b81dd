// SPDX-License-Identifier: Apache-2.0
//
// Eight threads (or THREADS) that sleep briefly, over and over: at any time one of them is just waking. Line k comes
// when every thread has woken since line k - 1. Lines and end are those of `numbered`.
//
// With NUMBERS, all descriptor numbers below it are open.
//
//   sleepers LINES PAUSE_US [THREADS [NUMBERS]]
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 3 || argc > 5) return 2;
  for (long fd = -1, numbers = argc == 5 ? atol(argv[4]) : 0; fd < numbers - 1;) {
    fd = open("/dev/null", O_RDWR);
    if (fd < 0) return 2;
  }
  const long lines = atol(argv[1]);
  const auto pause_us = static_cast<useconds_t>(atol(argv[2]));
  std::vector<std::atomic<long>> woken(argc > 3 ? strtoul(argv[3], nullptr, 10) : 8);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (auto& count : woken) {
    threads.emplace_back([&count, &stop] {
      while (!stop) {
        usleep(1000);
        ++count;
      }
    });
  }
  for (long k = 0; k < lines || access("stop", F_OK) != 0; ++k) {
    std::vector<long> before(woken.size());
    for (size_t i = 0; i < before.size(); ++i) before[i] = woken[i];
    for (size_t i = 0; i < before.size(); ++i) {
      while (woken[i] == before[i]) usleep(pause_us);
    }
    char line[32];
    const int length = snprintf(line, sizeof line, "%ld\n", k);
    if (write(STDOUT_FILENO, line, static_cast<size_t>(length)) != length) return 1;
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  dprintf(STDOUT_FILENO, "sound\n");
  return 7;
}

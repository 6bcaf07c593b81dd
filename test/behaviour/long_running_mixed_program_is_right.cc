// SPDX-License-Identifier: Apache-2.0
//
// Files, pipes, threads, signals, timers and memory together, moving at every step.
// om-points: moves
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <atomic>
#include <map>
#include <string>

static volatile sig_atomic_t g_ticks;

int main() {
  struct sigaction action {};
  action.sa_handler = [](int) { g_ticks = g_ticks + 1; };
  action.sa_flags = SA_RESTART;
  OM_SYS(sigaction(SIGALRM, &action, nullptr));
  itimerval when{{0, 5000}, {0, 5000}};
  OM_SYS(setitimer(ITIMER_REAL, &when, nullptr));
  int ends[2];
  OM_SYS(pipe(ends));
  std::map<std::string, int> words;
  std::atomic<bool> stop{false};
  std::atomic<long> echoed{0};
  OmThread echo([&] {
    char c;
    while (read(ends[0], &c, 1) == 1 && c != 0) ++echoed;
  });
  FILE* log = fopen("log", "w");
  OM_CHECK(log != nullptr);
  long written = 0;
  for (int round = 0; round < om_test_moves() || round < 4; ++round) {
    if (round < om_test_moves()) om_test_ready();
    for (int i = 0; i < 3000; ++i) {
      ++words["word " + std::to_string(i * 31 % 977)];
      if (i % 10 == 0) written += write(ends[1], "x", 1);
      if (i % 100 == 0 && round < 4)
        fprintf(log, "round %d step %d words %zu\n", round, i, words.size());
    }
    if (round < om_test_moves()) om_test_wait_moved();
  }
  char end = 0;
  OM_CHECK_EQ(write(ends[1], &end, 1), 1);
  echo.join();
  OM_CHECK_EQ(echoed.load(), written);
  OM_CHECK_EQ(words.size(), 977);
  int64_t start = om_test_ns();
  while (g_ticks < 3) OM_CHECK(om_test_ns() - start < 20 * kSecond);
  OM_CHECK_EQ(fclose(log), 0);
}

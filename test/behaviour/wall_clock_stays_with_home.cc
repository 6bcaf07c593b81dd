// SPDX-License-Identifier: Apache-2.0
//
// The wall clock of the moved program stays with that of a process at home: it reads the time
// between two readings of a helper, give or take the clocks' distance, which is far below two
// seconds.
// om-points: moves
#include "test/lib/om_test.h"

#include <sys/time.h>
#include <time.h>

int main() {
  int ask[2], answer[2];
  OM_SYS(pipe(ask));
  OM_SYS(pipe(answer));
  pid_t home = OM_SYS(fork());
  if (home == 0) {
    close(ask[1]);
    char c;
    while (read(ask[0], &c, 1) == 1) {
      int64_t now = om_test_ns(CLOCK_REALTIME);
      OM_CHECK_EQ(write(answer[1], &now, 8), 8);
    }
    _exit(0);
  }
  auto at_home = [&] {
    int64_t now = 0;
    OM_CHECK_EQ(write(ask[1], "?", 1), 1);
    OM_CHECK_EQ(read(answer[0], &now, 8), 8);
    return now;
  };
  for (int i = 0; i < om_test_moves() || i == 0; ++i) {
    om_test_ready();
    om_test_wait_moved();
    int64_t low = at_home() - 2 * kSecond, here = om_test_ns(CLOCK_REALTIME);
    int64_t high = at_home() + 2 * kSecond;
    OM_CHECK(low <= here && here <= high);
    timeval now{};
    OM_SYS(gettimeofday(&now, nullptr));
    OM_CHECK(now.tv_sec >= here / kSecond - 1 && now.tv_sec <= high / kSecond);
    time_t seconds = time(nullptr);
    OM_CHECK(seconds >= here / kSecond - 1 && seconds <= high / kSecond);
    timespec resolution{};
    OM_SYS(clock_getres(CLOCK_MONOTONIC, &resolution));
    OM_CHECK_EQ(resolution.tv_nsec, 1);
  }
  close(ask[1]);
  om_test_join(home);
}

// SPDX-License-Identifier: Apache-2.0
//
// A signal after the move ends a long nanosleep with EINTR; slept plus remaining time is the whole.
#include "test/lib/om_test.h"

#include <signal.h>

int main() {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  pid_t parent = getpid();
  pid_t killer = om_test_helper([=] { OM_SYS(kill(parent, SIGUSR1)); });
  timespec length{100, 0};
  OmGuardedOut<timespec> remaining;
  om_test_ready_blocking("clock_nanosleep|nanosleep");
  int64_t start = om_test_ns();
  OM_CHECK_ERRNO(nanosleep(&length, &remaining), EINTR);
  int64_t left = remaining->tv_sec * kSecond + remaining->tv_nsec;
  OM_CHECK(left > 0 && left <= 100 * kSecond);
  OM_CHECK_TIME(start, 100 * kSecond - left);
  om_test_join(killer);
}

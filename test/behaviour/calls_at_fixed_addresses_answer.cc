// SPDX-License-Identifier: Apache-2.0
//
// The three calls at the fixed addresses of the vsyscall page, which old programs make, answer after the move what
// their named forms do.
#include "test/lib/om_test.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static const auto old_gettimeofday = reinterpret_cast<int (*)(timeval*, void*)>(0xffffffffff600000);
static const auto old_time = reinterpret_cast<time_t (*)(time_t*)>(0xffffffffff600400);
static const auto old_getcpu =
    reinterpret_cast<int (*)(unsigned*, unsigned*, void*)>(0xffffffffff600800);

// A kernel without them ends who asks.
static bool answers() {
  const pid_t child = OM_SYS(fork());
  if (child == 0) _exit(old_time(nullptr) > 0 ? 0 : 1);
  int status = -1;
  OM_SYS(waitpid(child, &status, 0));
  return status == 0;
}

static void check() {
  timeval now{};
  OM_CHECK_EQ(old_gettimeofday(&now, nullptr), 0);
  const time_t named = time(nullptr), fixed = old_time(nullptr);
  OM_CHECK(now.tv_sec <= named + 1 && fixed >= named - 1);
  OM_CHECK(fixed - now.tv_sec < 20 && now.tv_sec - fixed < 20);
  unsigned cpu = ~0u;
  OM_CHECK_EQ(old_getcpu(&cpu, nullptr, nullptr), 0);
  OM_CHECK(static_cast<long>(cpu) < sysconf(_SC_NPROCESSORS_CONF));
}

int main() {
  if (!answers()) om_test_skip("no vsyscall page");
  check();
  om_test_ready();
  om_test_wait_moved();
  check();
}

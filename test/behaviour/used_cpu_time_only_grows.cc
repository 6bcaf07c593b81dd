// SPDX-License-Identifier: Apache-2.0
//
// getrusage, times, clock and the CPU clocks of process and thread never go back and count work
// done anywhere.
// om-points: moves
#include "test/lib/om_test.h"

#include <sys/resource.h>
#include <sys/times.h>
#include <time.h>

struct Used {
  int64_t rusage, process, thread, ticks, clock_us;
};

static Used used() {
  OmGuardedOut<rusage> usage;
  OM_SYS(getrusage(RUSAGE_SELF, &usage));
  OmGuardedOut<tms> ticks;
  times(&ticks);
  return {(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * kSecond +
              (usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * 1000,
          om_test_ns(CLOCK_PROCESS_CPUTIME_ID), om_test_ns(CLOCK_THREAD_CPUTIME_ID),
          ticks->tms_utime + ticks->tms_stime, clock()};
}

static void burn(int64_t ns) {
  int64_t start = om_test_ns(CLOCK_THREAD_CPUTIME_ID);
  while (om_test_ns(CLOCK_THREAD_CPUTIME_ID) - start < ns) continue;
}

int main() {
  Used last = used();
  for (int i = 0; i < om_test_moves() || i == 0; ++i) {
    om_test_ready();
    om_test_wait_moved();
    burn(60 * kMilli);
    Used now = used();
    OM_CHECK(now.rusage >= last.rusage + 30 * kMilli);
    OM_CHECK(now.process >= last.process + 60 * kMilli);
    OM_CHECK(now.thread >= last.thread + 60 * kMilli);
    OM_CHECK(now.ticks >= last.ticks + 3);
    OM_CHECK(now.clock_us >= last.clock_us + 60000);
    last = now;
  }
}

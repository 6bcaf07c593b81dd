// SPDX-License-Identifier: Apache-2.0
//
// Built with another C library: libom's clocks stand in front of its own and set its errno, CPU time only grows.
// om-libc: musl
#include "test/lib/om_test_c.h"

#include <sys/resource.h>
#include <sys/times.h>

static double seconds(clockid_t id) {
  struct timespec now;
  OM_CHECK(clock_gettime(id, &now) == 0);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(void) {
  const clock_t begin = clock();
  const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
  om_test_ready();
  volatile double sum = 0;
  for (int i = 1; i < 30000000; i++) sum += 1.0 / i;
  om_test_wait_moved();
  struct rusage used;
  struct tms ticks;
  OM_CHECK(clock() > begin && seconds(CLOCK_PROCESS_CPUTIME_ID) > cpu && seconds(CLOCK_MONOTONIC) > wall);
  OM_CHECK(getrusage(RUSAGE_SELF, &used) == 0 && used.ru_utime.tv_sec * 1000000 + used.ru_utime.tv_usec > 0);
  OM_CHECK(times(&ticks) != (clock_t)-1 && ticks.tms_utime > 0);
  errno = 0;
  OM_CHECK(clock_gettime(1000, &(struct timespec){0}) == -1 && errno == EINVAL);
  printf("sum %.6f\n", sum);
}

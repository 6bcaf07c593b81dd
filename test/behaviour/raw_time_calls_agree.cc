// SPDX-License-Identifier: Apache-2.0
//
// time, gettimeofday, clock_gettime, clock_getres and getcpu as system calls agree with the
// library's.
#include "test/lib/om_test.h"

#include <sched.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>

int main() {
  om_test_ready();
  om_test_wait_moved();
  for (int i = 0; i < 20; ++i) {
    int64_t low = om_test_ns(CLOCK_REALTIME);
    OmGuardedOut<timeval> now;
    OM_SYS(syscall(SYS_gettimeofday, &now, nullptr));
    OmGuardedOut<time_t> seconds;
    time_t result = syscall(SYS_time, &seconds);
    OmGuardedOut<timespec> exact;
    OM_SYS(syscall(SYS_clock_gettime, CLOCK_REALTIME, &exact));
    int64_t high = om_test_ns(CLOCK_REALTIME);
    int64_t us = now->tv_sec * kSecond + now->tv_usec * 1000;
    int64_t ns = exact->tv_sec * kSecond + exact->tv_nsec;
    OM_CHECK(us >= low - kMilli && us <= high);
    OM_CHECK(ns >= low && ns <= high);
    OM_CHECK_EQ(*seconds, result);
    OM_CHECK(result >= low / kSecond - 1 && result <= high / kSecond);
  }
  OmGuardedOut<timespec> resolution;
  OM_SYS(syscall(SYS_clock_getres, CLOCK_MONOTONIC_COARSE, &resolution));
  OM_CHECK(resolution->tv_nsec >= 1000000);
  OM_CHECK_ERRNO(syscall(SYS_clock_gettime, 9999, &resolution), EINVAL);
  OmGuardedOut<unsigned> cpu;
  OM_SYS(syscall(SYS_getcpu, &cpu, nullptr, nullptr));
  OM_CHECK(static_cast<long>(*cpu) < sysconf(_SC_NPROCESSORS_CONF));
  OmGuardedOut<timex> adjust;
  adjust->modes = 0;
  OM_CHECK(OM_SYS(adjtimex(&adjust)) >= 0);
  OM_SYS(sched_rr_get_interval(0, &resolution));
}

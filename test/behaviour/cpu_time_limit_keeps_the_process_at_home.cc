// SPDX-License-Identifier: Apache-2.0
//
// A limit of CPU time is counted by home's kernel: a process that has one is not moved.
// om-expect: refused CPU_TIMER
#include "test/lib/om_test.h"

#include <sys/resource.h>

int main() {
  rlimit limit{};
  OM_SYS(getrlimit(RLIMIT_CPU, &limit));
  limit.rlim_cur = 1000;
  OM_SYS(setrlimit(RLIMIT_CPU, &limit));
  om_test_ready();
  om_test_wait_moved();
  OM_SYS(getrlimit(RLIMIT_CPU, &limit));
  OM_CHECK_EQ(limit.rlim_cur, 1000);
}

// SPDX-License-Identifier: Apache-2.0
//
// sched_getaffinity tells what the program set; the current CPU is always one that home has.
#include "test/lib/om_test.h"

#include <sched.h>

int main() {
  cpu_set_t all, first, now;
  OM_SYS(sched_getaffinity(0, sizeof all, &all));
  int cpu = 0;
  while (!CPU_ISSET(cpu, &all)) ++cpu;
  CPU_ZERO(&first);
  CPU_SET(cpu, &first);
  OM_SYS(sched_setaffinity(0, sizeof first, &first));
  om_test_ready();
  om_test_wait_moved();
  CPU_ZERO(&now);
  OM_SYS(sched_getaffinity(0, sizeof now, &now));
  OM_CHECK(CPU_EQUAL(&now, &first));
  OM_SYS(sched_setaffinity(0, sizeof all, &all));
  CPU_ZERO(&now);
  OM_SYS(sched_getaffinity(0, sizeof now, &now));
  OM_CHECK(CPU_EQUAL(&now, &all));
  long configured = sysconf(_SC_NPROCESSORS_CONF);
  for (int i = 0; i < 1000; ++i) {
    unsigned number = ~0u, node = ~0u;
    OM_SYS(getcpu(&number, &node));
    OM_CHECK(static_cast<long>(number) < configured);
    int other = sched_getcpu();
    OM_CHECK(other >= 0 && other < configured);
    sched_yield();
  }
}

// SPDX-License-Identifier: Apache-2.0
//
// Nice value, policy and scheduler parameters survive and can be changed.
#include "test/lib/om_test.h"

#include <sched.h>
#include <sys/resource.h>

int main() {
  if (getpriority(PRIO_PROCESS, 0) > 12 || sched_getscheduler(0) != SCHED_OTHER)
    om_test_skip("it is not scheduled like an ordinary program");
  const int before = getpriority(PRIO_PROCESS, 0);
  OM_CHECK_EQ(nice(3), before + 3);
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(getpriority(PRIO_PROCESS, 0), before + 3);
  OM_SYS(setpriority(PRIO_PROCESS, 0, before + 5));
  OM_CHECK_EQ(getpriority(PRIO_PROCESS, getpid()), before + 5);
  OM_CHECK_EQ(nice(2), before + 7);
  OM_CHECK_EQ(sched_getscheduler(0), SCHED_OTHER);
  OmGuardedOut<sched_param> parameters;
  OM_SYS(sched_getparam(0, &parameters));
  OM_CHECK_EQ(parameters->sched_priority, 0);
  OM_SYS(sched_setscheduler(0, SCHED_BATCH, &parameters));
  OM_CHECK_EQ(sched_getscheduler(0), SCHED_BATCH);
  OM_CHECK_EQ(sched_get_priority_max(SCHED_FIFO), 99);
  OM_CHECK_EQ(sched_get_priority_min(SCHED_RR), 1);
  OM_SYS(sched_setparam(0, &parameters));
  OM_CHECK_ERRNO(sched_setscheduler(0, 77, &parameters), EINVAL);
}

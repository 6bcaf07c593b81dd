// SPDX-License-Identifier: Apache-2.0
//
// prctl settings survive: name, parent-death signal, child subreaper, timer slack, no_new_privs.
#include "test/lib/om_test.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

int main() {
  const int no_more = OM_SYS(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));  // a container's
  OM_SYS(prctl(PR_SET_NAME, "named-before"));
  OM_SYS(prctl(PR_SET_PDEATHSIG, SIGUSR1));
  OM_SYS(prctl(PR_SET_CHILD_SUBREAPER, 1));
  OM_SYS(prctl(PR_SET_TIMERSLACK, 77777));
  om_test_ready();
  om_test_wait_moved();
  OmGuarded name(16);
  OM_SYS(prctl(PR_GET_NAME, name.data()));
  OM_CHECK_EQ(static_cast<const char*>(name.data()), "named-before");
  OmGuardedOut<int> value;
  OM_SYS(prctl(PR_GET_PDEATHSIG, &value));
  OM_CHECK_EQ(*value, SIGUSR1);
  OM_SYS(prctl(PR_GET_CHILD_SUBREAPER, &value));
  OM_CHECK_EQ(*value, 1);
  OM_CHECK_EQ(prctl(PR_GET_TIMERSLACK), 77777);
  OM_CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
  OM_CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), no_more);
  OM_SYS(prctl(PR_SET_NAME, "named-after"));
  OM_CHECK_EQ(pthread_getname_np(pthread_self(), name.data(), 16), 0);
  OM_CHECK_EQ(static_cast<const char*>(name.data()), "named-after");
  OM_CHECK_ERRNO(prctl(123456, 0, 0, 0, 0), EINVAL);
}

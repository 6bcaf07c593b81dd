// SPDX-License-Identifier: Apache-2.0
//
// A process stopped by SIGSTOP is not moved; continued, it goes on.
// om-expect: refused STOPPED
#include "test/lib/om_test.h"

#include <signal.h>

int main() {
  pid_t parent = getpid();
  pid_t helper = om_test_helper([=] {
    om_test_wait_state(parent, 'T');
    OM_SYS(kill(parent, SIGCONT));
  });
  om_test_ready_blocking("stopped");
  OM_CHECK_EQ(raise(SIGSTOP), 0);
  om_test_join(helper);
}

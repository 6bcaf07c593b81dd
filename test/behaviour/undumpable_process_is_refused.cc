// SPDX-License-Identifier: Apache-2.0
//
// A process that has made itself non-dumpable stays at home.
// om-expect: refused NOT_DUMPABLE
#include "test/lib/om_test.h"

#include <sys/prctl.h>

int main() {
  OM_SYS(prctl(PR_SET_DUMPABLE, 0));
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
}

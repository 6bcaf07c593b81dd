// SPDX-License-Identifier: Apache-2.0
//
// The name that a program gives itself decides nothing: children of one that calls itself like a helper of openMosix
// move like any others.
#include "test/lib/om_test.h"

#include <stdio.h>
#include <sys/prctl.h>

int main() {
  OM_SYS(prctl(PR_SET_NAME, "om-guest"));
  const pid_t child = OM_SYS(fork());
  if (child == 0) {
    om_test_ready();
    om_test_wait_moved();
    char name[16] = "";
    OM_SYS(prctl(PR_GET_NAME, name));
    printf("child of a namesake, called %s\n", name);
    return 0;
  }
  om_test_join(child);
}

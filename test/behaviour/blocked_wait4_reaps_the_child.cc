// SPDX-License-Identifier: Apache-2.0
//
// wait4() waits across the move and reports the child's exit status and its resource use.
#include "test/lib/om_test.h"

#include <sys/resource.h>
#include <sys/wait.h>

int main() {
  pid_t child = om_test_helper([] { _exit(7); });
  OmGuardedOut<int> status;
  OmGuardedOut<rusage> usage;
  om_test_ready_blocking("wait4");
  OM_CHECK_EQ(wait4(child, &status, 0, &usage), child);
  OM_CHECK(WIFEXITED(*status));
  OM_CHECK_EQ(WEXITSTATUS(*status), 7);
  OM_CHECK(usage->ru_maxrss > 0);
  OM_CHECK_ERRNO(wait4(-1, &status, 0, nullptr), ECHILD);
}

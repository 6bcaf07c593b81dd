// SPDX-License-Identifier: Apache-2.0
//
// A moved child that touches bad memory without a handler dies of SIGSEGV.
#include "test/lib/om_test.h"

#include <sys/wait.h>

int main() {
  pid_t child = OM_SYS(fork());
  if (child == 0) {
    om_test_ready();
    om_test_wait_moved();
    int* volatile bad = reinterpret_cast<int*>(16);
    *bad = 1;
    _exit(0);
  }
  int status = 0;
  OM_CHECK_EQ(waitpid(child, &status, 0), child);
  OM_CHECK(WIFSIGNALED(status));
  OM_CHECK_EQ(WTERMSIG(status), SIGSEGV);
}

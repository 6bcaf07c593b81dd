// SPDX-License-Identifier: Apache-2.0
//
// What a child of vfork() writes is seen by its parent, which waits until the child has ended.
// om-points: each
#include "test/lib/om_test.h"

#include <sys/wait.h>

static volatile int g_seen;  // in memory, not in a register that vfork() gives back

int main() {
  for (int i = 0; i < 3; ++i) {
    om_test_ready();
    om_test_wait_moved();
    g_seen = -1;
    const pid_t child = vfork();
    if (child == 0) {
      usleep(20000);
      g_seen = i;
      _exit(3);
    }
    OM_CHECK(child > 0);
    OM_CHECK_EQ(static_cast<int>(g_seen), i);
    int status = 0;
    OM_CHECK_EQ(waitpid(child, &status, 0), child);
    OM_CHECK_EQ(WEXITSTATUS(status), 3);
  }
}

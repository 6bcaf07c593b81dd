// SPDX-License-Identifier: Apache-2.0
//
// A process whose address space another process shares (CLONE_VM without CLONE_THREAD) stays at
// home.
// om-expect: refused SHARED_MM
#include "test/lib/om_test.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

static char g_stack[65536];
static volatile int g_seen;

int main() {
  static int s_ends[2];
  OM_SYS(pipe(s_ends));
  auto sibling = [](void*) {
    char c;
    while (read(s_ends[0], &c, 1) != 1) continue;
    g_seen = 7;
    return 0;
  };
  pid_t child =
      OM_SYS(clone(sibling, g_stack + sizeof g_stack, CLONE_VM | CLONE_FILES | SIGCHLD, nullptr));
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(write(s_ends[1], "x", 1), 1);
  int status = -1;
  OM_CHECK_EQ(waitpid(child, &status, 0), child);
  OM_CHECK_EQ(status, 0);
  OM_CHECK_EQ(g_seen, 7);
}

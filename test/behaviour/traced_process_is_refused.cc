// SPDX-License-Identifier: Apache-2.0
//
// A process with a tracer stays at home; the tracer keeps it and lets it end.
// om-expect: refused TRACED
#include "test/lib/om_test.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

int main() {
  int go[2];
  OM_SYS(pipe(go));
  pid_t child = OM_SYS(fork());
  if (child == 0) {
    char c;
    OM_CHECK_EQ(read(go[0], &c, 1), 1);
    om_test_ready();
    om_test_wait_moved();
    _exit(3);
  }
  if (ptrace(PTRACE_SEIZE, child, nullptr, PTRACE_O_TRACEEXIT) != 0) {
    kill(child, SIGKILL);
    OM_CHECK_EQ(waitpid(child, nullptr, 0), child);
    om_test_skip("ptrace is not allowed");
  }
  OM_CHECK_EQ(write(go[1], "g", 1), 1);
  int status = 0;
  OM_CHECK_EQ(waitpid(child, &status, 0), child);
  OM_CHECK_EQ(status >> 8, SIGTRAP | PTRACE_EVENT_EXIT << 8);
  OM_SYS(ptrace(PTRACE_CONT, child, nullptr, nullptr));
  OM_CHECK_EQ(waitpid(child, &status, 0), child);
  OM_CHECK_EQ(WEXITSTATUS(status), 3);
}

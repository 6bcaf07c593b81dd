// SPDX-License-Identifier: Apache-2.0
//
// A program that makes itself a daemon (fork, setsid, fork, chdir, close) after the move: the last
// process works in a session of its own.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/wait.h>

int main() {
  int report[2];
  OM_SYS(pipe(report));
  om_test_ready();
  om_test_wait_moved();
  pid_t session = getsid(0);
  pid_t first = OM_SYS(fork());
  if (first == 0) {
    OM_SYS(setsid());
    pid_t second = OM_SYS(fork());
    if (second > 0) _exit(0);
    OM_SYS(chdir("/"));
    pid_t facts[2] = {getsid(0), getpid()};
    OM_CHECK_EQ(write(report[1], facts, sizeof facts), sizeof facts);
    _exit(0);
  }
  om_test_join(first);
  close(report[1]);
  pid_t facts[2] = {};
  OM_CHECK_EQ(read(report[0], facts, sizeof facts), sizeof facts);
  OM_CHECK_EQ(facts[0], first);
  OM_CHECK(facts[0] != session);
  OM_CHECK(facts[1] != first && facts[1] != getpid());
  OM_CHECK_EQ(read(report[0], facts, sizeof facts), 0);
}

// SPDX-License-Identifier: Apache-2.0
//
// fork() after the move: the child has a copy of memory and shares descriptors; both go on; the
// parent reaps it. Several times, and from a thread.
#include "test/lib/om_test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static char* g_data;

static void fork_once(int number) {
  int ends[2];
  OM_SYS(pipe(ends));
  pid_t child = OM_SYS(fork());
  if (child == 0) {
    for (int i = 0; i < 1 << 20; i += 64) OM_CHECK_EQ(g_data[i], 'p');
    memset(g_data, 'c', 1 << 20);
    OM_CHECK_EQ(write(ends[1], "from child", 10), 10);
    OM_CHECK(getppid() > 1);
    _exit(number);
  }
  char text[16];
  OM_CHECK_EQ(read(ends[0], text, sizeof text), 10);
  int status = 0;
  OM_CHECK_EQ(waitpid(child, &status, 0), child);
  OM_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == number);
  for (int i = 0; i < 1 << 20; i += 64) OM_CHECK_EQ(g_data[i], 'p');
  close(ends[0]);
  close(ends[1]);
}

int main() {
  g_data = static_cast<char*>(malloc(1 << 20));
  memset(g_data, 'p', 1 << 20);
  om_test_ready();
  om_test_wait_moved();
  for (int i = 1; i <= 3; ++i) fork_once(i);
  OmThread other([] { fork_once(4); });
}

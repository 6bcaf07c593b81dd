// SPDX-License-Identifier: Apache-2.0
//
// With SA_RESTART a signal runs its handler while read() is blocked; read() then goes on and gets
// the data.
#include "test/lib/om_test.h"

#include <signal.h>

static int g_handled[2];

int main() {
  int data[2];
  OM_SYS(pipe(data));
  OM_SYS(pipe(g_handled));
  struct sigaction action {};
  action.sa_handler = [](int) { OM_CHECK_EQ(write(g_handled[1], "h", 1), 1); };
  action.sa_flags = SA_RESTART;
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  pid_t parent = getpid();
  pid_t helper = om_test_helper([&] {
    char c;
    for (int i = 0; i < 3; ++i) {
      OM_SYS(kill(parent, SIGUSR1));
      OM_CHECK_EQ(read(g_handled[0], &c, 1), 1);
    }
    OM_CHECK_EQ(write(data[1], "d", 1), 1);
  });
  char c = 0;
  om_test_ready_blocking("read");
  OM_CHECK_EQ(read(data[0], &c, 1), 1);
  OM_CHECK_EQ(c, 'd');
  om_test_join(helper);
}

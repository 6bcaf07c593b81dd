// SPDX-License-Identifier: Apache-2.0
//
// A write to a pipe has gone half through when the process moves, wherever to. A signal ends it with the part; its
// handler may leave by siglongjmp() or an exception, and the process moves on.
// om-points: each
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

static int g_ends[2];
static int g_capacity;
static char g_data[1 << 20];
static sigjmp_buf g_back;
static volatile sig_atomic_t g_how, g_handled;

static void on_signal(int) {
  volatile char deep[16384];
  for (volatile char& c : deep) c = 1;
  g_handled = g_handled + 1;
  if (g_how == 1) siglongjmp(g_back, 1);
  if (g_how == 2) throw 7;
}

static void drain(int bytes) {
  static char text[65536];
  while (bytes > 0) {
    const ssize_t got = read(g_ends[0], text, sizeof text);
    OM_CHECK(got > 0);
    bytes -= static_cast<int>(got);
  }
}

static ssize_t transfer() {
  om_test_ready_blocking("write");
  return write(g_ends[1], g_data, sizeof g_data);
}

static ssize_t transfer_or_throw() {
  try {
    return transfer();
  } catch (int thrown) {
    return -thrown;
  }
}

int main() {
  OM_SYS(pipe(g_ends));
  g_capacity = OM_SYS(fcntl(g_ends[1], F_SETPIPE_SZ, 4096));
  struct sigaction action {};
  action.sa_handler = on_signal;
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  const pid_t parent = getpid();
  pid_t helpers[3];
  for (int i = 0; i < 3; ++i)
    helpers[i] = om_test_helper([=] { OM_SYS(kill(parent, SIGUSR1)); }, i + 1);
  static int how;
  for (; how < 3; ++how) {
    g_how = how;
    static ssize_t result;
    result = 0;
    if (sigsetjmp(g_back, 1) == 0) result = transfer_or_throw();
    om_test_wait_moved();
    om_test_join(helpers[g_how]);
    OM_CHECK_EQ(g_handled, g_how + 1);
    OM_CHECK_EQ(result, g_how == 0 ? g_capacity : g_how == 1 ? 0 : -7);
    drain(g_capacity);
  }
}

// SPDX-License-Identifier: Apache-2.0
//
// Writing to a pipe without readers: EPIPE and one SIGPIPE; ignored or MSG_NOSIGNAL: EPIPE only.
#include "test/lib/om_test.h"

#include <signal.h>
#include <sys/socket.h>

static volatile sig_atomic_t g_count;

int main() {
  int ends[2], pair[2];
  OM_SYS(pipe(ends));
  OM_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  close(ends[0]);
  close(pair[0]);
  struct sigaction action {};
  action.sa_handler = [](int) { g_count = g_count + 1; };
  OM_SYS(sigaction(SIGPIPE, &action, nullptr));
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_ERRNO(write(ends[1], "x", 1), EPIPE);
  OM_CHECK_EQ(g_count, 1);
  OM_CHECK_ERRNO(send(pair[1], "x", 1, MSG_NOSIGNAL), EPIPE);
  OM_CHECK_EQ(g_count, 1);
  OM_CHECK_ERRNO(send(pair[1], "x", 1, 0), EPIPE);
  OM_CHECK_EQ(g_count, 2);
  OM_CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
  OM_CHECK_ERRNO(write(ends[1], "x", 1), EPIPE);
  OM_CHECK_EQ(g_count, 2);
}

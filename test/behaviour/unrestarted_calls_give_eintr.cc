// SPDX-License-Identifier: Apache-2.0
//
// Without SA_RESTART a signal after the move ends blocked calls with EINTR after the handler ran.
// om-points: 4
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>

static volatile sig_atomic_t g_count;

int main() {
  struct sigaction action {};
  action.sa_handler = [](int) { g_count = g_count + 1; };
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  int ends[2], pair[2];
  OM_SYS(pipe(ends));
  OM_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  int holder = OM_SYS(open("lock", O_RDWR | O_CREAT, 0600));
  int waiter = OM_SYS(open("lock", O_RDWR));
  OM_SYS(flock(holder, LOCK_EX));
  pid_t parent = getpid();
  pid_t killers[4];
  for (int i = 0; i < 4; ++i) {
    killers[i] = om_test_helper([=] { OM_SYS(kill(parent, SIGUSR1)); }, i + 1);
  }
  char c;
  om_test_ready_blocking("read");
  OM_CHECK_ERRNO(read(ends[0], &c, 1), EINTR);
  om_test_wait_moved();
  om_test_join(killers[0]);
  OM_CHECK_EQ(g_count, 1);
  om_test_ready_blocking("recvfrom");
  OM_CHECK_ERRNO(recv(pair[0], &c, 1, 0), EINTR);
  om_test_wait_moved();
  om_test_join(killers[1]);
  OM_CHECK_EQ(g_count, 2);
  om_test_ready_blocking("flock");
  OM_CHECK_ERRNO(flock(waiter, LOCK_EX), EINTR);
  om_test_wait_moved();
  om_test_join(killers[2]);
  OM_CHECK_EQ(g_count, 3);
  om_test_ready_blocking("pause");
  OM_CHECK_ERRNO(pause(), EINTR);
  om_test_join(killers[3]);
  OM_CHECK_EQ(g_count, 4);
}

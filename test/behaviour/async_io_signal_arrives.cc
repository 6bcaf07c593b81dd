// SPDX-License-Identifier: Apache-2.0
//
// A socket with O_ASYNC, an owner and a signal of its own (F_SETSIG) raises it for data that comes
// after the move, with the descriptor in the siginfo.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

int main() {
  int ends[2];
  OM_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGRTMIN + 3);
  OM_SYS(sigprocmask(SIG_BLOCK, &wanted, nullptr));
  OM_SYS(fcntl(ends[0], F_SETOWN, getpid()));
  OM_SYS(fcntl(ends[0], F_SETSIG, SIGRTMIN + 3));
  OM_SYS(fcntl(ends[0], F_SETFL, O_ASYNC));
  pid_t writer = om_test_helper([&] { OM_CHECK_EQ(write(ends[1], "x", 1), 1); });
  om_test_ready_blocking("rt_sigtimedwait");
  siginfo_t info{};
  OM_CHECK_EQ(sigwaitinfo(&wanted, &info), SIGRTMIN + 3);
  OM_CHECK_EQ(info.si_fd, ends[0]);
  OM_CHECK_EQ(info.si_band & 1, 1);  // POLLIN
  OM_CHECK_EQ(fcntl(ends[0], F_GETOWN), getpid());
  OM_CHECK_EQ(fcntl(ends[0], F_GETSIG), SIGRTMIN + 3);
  om_test_join(writer);
}

// SPDX-License-Identifier: Apache-2.0
//
// pidfd_open, pidfd_send_signal, poll and waitid on a process descriptor; pidfd_getfd from a child.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

int main() {
  int ends[2];
  OM_SYS(pipe(ends));
  pid_t child = OM_SYS(fork());
  if (child == 0) {
    OM_SYS(dup2(ends[1], 50));
    OM_CHECK_EQ(write(50, "1", 1), 1);
    for (;;) pause();
  }
  char c = 0;
  OM_CHECK_EQ(read(ends[0], &c, 1), 1);
  om_test_ready();
  om_test_wait_moved();
  int process = static_cast<int>(OM_SYS(syscall(SYS_pidfd_open, child, 0)));
  OM_CHECK_EQ(fcntl(process, F_GETFD), FD_CLOEXEC);
  int copy = static_cast<int>(OM_SYS(syscall(SYS_pidfd_getfd, process, 50, 0)));
  OM_CHECK_EQ(write(copy, "2", 1), 1);
  OM_CHECK_EQ(read(ends[0], &c, 1), 1);
  OM_CHECK_EQ(c, '2');
  pollfd one{process, POLLIN, 0};
  OM_CHECK_EQ(poll(&one, 1, 0), 0);
  OM_SYS(syscall(SYS_pidfd_send_signal, process, SIGTERM, nullptr, 0));
  OM_CHECK_EQ(poll(&one, 1, -1), 1);
  siginfo_t info{};
  OM_SYS(waitid(P_PIDFD, static_cast<id_t>(process), &info, WEXITED));
  OM_CHECK_EQ(info.si_pid, child);
  OM_CHECK_EQ(info.si_status, SIGTERM);
  OM_CHECK_ERRNO(syscall(SYS_pidfd_send_signal, process, 0, nullptr, 0), ESRCH);
}

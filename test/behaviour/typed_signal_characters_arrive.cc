// SPDX-License-Identifier: Apache-2.0
//
// Ctrl-C and Ctrl-\ typed on the controlling terminal after the move raise SIGINT and SIGQUIT; a
// new window size raises SIGWINCH.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>

int main() {
  int master = OM_SYS(posix_openpt(O_RDWR | O_NOCTTY));
  OM_SYS(grantpt(master));
  OM_SYS(unlockpt(master));
  int slave = OM_SYS(open(ptsname(master), O_RDWR));
  sigset_t wanted;
  sigemptyset(&wanted);
  for (int number : {SIGINT, SIGQUIT, SIGWINCH}) sigaddset(&wanted, number);
  OM_SYS(sigprocmask(SIG_BLOCK, &wanted, nullptr));
  pid_t typist = om_test_helper([&] { OM_CHECK_EQ(write(master, "\x03", 1), 1); });
  siginfo_t info;
  om_test_ready_blocking("rt_sigtimedwait");
  OM_CHECK_EQ(sigwaitinfo(&wanted, &info), SIGINT);
  OM_CHECK_EQ(info.si_code, SI_KERNEL);
  om_test_join(typist);
  OM_CHECK_EQ(write(master, "\x1c", 1), 1);
  OM_CHECK_EQ(sigwaitinfo(&wanted, nullptr), SIGQUIT);
  winsize window{11, 22, 0, 0};
  OM_SYS(ioctl(slave, TIOCSWINSZ, &window));
  OM_CHECK_EQ(sigwaitinfo(&wanted, nullptr), SIGWINCH);
}

// SPDX-License-Identifier: Apache-2.0
//
// A signalfd made before the move delivers what arrives after it; the set can be changed.
#include "test/lib/om_test.h"

#include <signal.h>
#include <sys/signalfd.h>

int main() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGUSR2);
  OM_SYS(sigprocmask(SIG_BLOCK, &set, nullptr));
  sigdelset(&set, SIGUSR2);
  int fd = OM_SYS(signalfd(-1, &set, 0));
  pid_t parent = getpid();
  pid_t killer = om_test_helper([=] {
    OM_SYS(kill(parent, SIGUSR2));
    OM_SYS(kill(parent, SIGUSR1));
  });
  OmGuardedOut<signalfd_siginfo> info;
  om_test_ready_blocking("read");
  OM_CHECK_EQ(read(fd, &info, sizeof *info), sizeof *info);
  OM_CHECK_EQ(info->ssi_signo, SIGUSR1);
  OM_CHECK_EQ(info->ssi_pid, killer);
  om_test_join(killer);
  sigaddset(&set, SIGUSR2);
  OM_CHECK_EQ(signalfd(fd, &set, 0), fd);
  OM_CHECK_EQ(read(fd, &info, sizeof *info), sizeof *info);
  OM_CHECK_EQ(info->ssi_signo, SIGUSR2);
}

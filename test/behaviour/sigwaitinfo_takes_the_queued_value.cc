// SPDX-License-Identifier: Apache-2.0
//
// sigwaitinfo() is blocked across the move and takes a queued signal with its value; no handler
// runs.
#include "test/lib/om_test.h"

#include <signal.h>

int main() {
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGRTMIN + 2);
  sigaddset(&wanted, SIGUSR1);
  OM_SYS(sigprocmask(SIG_BLOCK, &wanted, nullptr));
  pid_t parent = getpid();
  pid_t sender = om_test_helper([=] {
    sigval value{};
    value.sival_ptr = reinterpret_cast<void*>(0x123456789abc);
    OM_SYS(sigqueue(parent, SIGRTMIN + 2, value));
  });
  OmGuardedOut<siginfo_t> info;
  om_test_ready_blocking("rt_sigtimedwait");
  OM_CHECK_EQ(sigwaitinfo(&wanted, &info), SIGRTMIN + 2);
  OM_CHECK_EQ(info->si_code, SI_QUEUE);
  OM_CHECK_EQ(info->si_pid, sender);
  OM_CHECK_EQ(info->si_value.sival_ptr, reinterpret_cast<void*>(0x123456789abc));
  om_test_join(sender);
  OM_CHECK_EQ(raise(SIGUSR1), 0);
  int number = 0;
  OM_CHECK_EQ(sigwait(&wanted, &number), 0);
  OM_CHECK_EQ(number, SIGUSR1);
}

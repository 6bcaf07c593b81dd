// SPDX-License-Identifier: Apache-2.0
//
// Real-time signals queued from outside while blocked arrive with their values, lowest number first
// and in the order they were queued.
#include "test/lib/om_test.h"

#include <signal.h>
#include <stdio.h>

static void handler(int number, siginfo_t* info, void*) {
  OM_CHECK_EQ(info->si_code, SI_QUEUE);
  char line[40];
  int bytes =
      snprintf(line, sizeof line, "+%d value %d\n", number - SIGRTMIN, info->si_value.sival_int);
  OM_CHECK_EQ(write(STDOUT_FILENO, line, static_cast<size_t>(bytes)), bytes);
}

int main() {
  sigset_t all;
  sigemptyset(&all);
  struct sigaction action {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO;
  sigfillset(&action.sa_mask);
  for (int i = 0; i < 3; ++i) {
    sigaddset(&all, SIGRTMIN + i);
    OM_SYS(sigaction(SIGRTMIN + i, &action, nullptr));
  }
  OM_SYS(sigprocmask(SIG_BLOCK, &all, nullptr));
  pid_t parent = getpid();
  pid_t sender = om_test_helper([=] {
    for (int value = 1; value <= 4; ++value) {
      for (int i = 2; i >= 0; --i) {
        sigval data{};
        data.sival_int = value * 10 + i;
        OM_SYS(sigqueue(parent, SIGRTMIN + i, data));
      }
    }
  });
  om_test_ready();
  om_test_wait_moved();
  om_test_join(sender);
  OM_SYS(sigprocmask(SIG_UNBLOCK, &all, nullptr));
}

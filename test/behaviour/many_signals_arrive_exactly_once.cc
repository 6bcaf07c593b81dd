// SPDX-License-Identifier: Apache-2.0
//
// 300 queued real-time signals are sent from outside while the program computes and calls; each
// arrives once, in order.
#include "test/lib/om_test.h"

#include <signal.h>

constexpr int kSignals = 300;
static volatile sig_atomic_t g_next;

int main() {
  struct sigaction action {};
  action.sa_sigaction = [](int, siginfo_t* info, void*) {
    OM_CHECK_EQ(info->si_value.sival_int, g_next);
    g_next = g_next + 1;
  };
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  OM_SYS(sigaction(SIGRTMIN, &action, nullptr));
  pid_t parent = getpid();
  pid_t sender = om_test_helper([=] {
    for (int i = 0; i < kSignals; ++i) {
      sigval value{};
      value.sival_int = i;
      OM_SYS(sigqueue(parent, SIGRTMIN, value));
      if (i % 7 == 0) sched_yield();
    }
  });
  om_test_ready();
  om_test_wait_moved();
  uint64_t calls = 0;
  while (g_next < kSignals) calls += static_cast<uint64_t>(getppid() > 0);
  om_test_join(sender);
  OM_CHECK_EQ(g_next, kSignals);
}

// SPDX-License-Identifier: Apache-2.0
//
// SA_RESETHAND sets the handler back to the default when the signal is delivered, and nothing else: flags and mask
// of the action stay.
#include "test/lib/om_test.h"

#include <signal.h>

static volatile sig_atomic_t got;

static void handler(int sig, siginfo_t*, void*) { got = got + sig; }

int main() {
  constexpr int kFlags = static_cast<int>(SA_RESETHAND | SA_SIGINFO | SA_RESTART);
  struct sigaction action = {};
  action.sa_sigaction = handler;
  action.sa_flags = kFlags;
  sigaddset(&action.sa_mask, SIGUSR2);
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  om_test_ready();
  om_test_wait_moved();
  OM_SYS(raise(SIGUSR1));
  OM_CHECK_EQ(got, SIGUSR1);
  struct sigaction now = {};
  OM_SYS(sigaction(SIGUSR1, nullptr, &now));
  OM_CHECK(now.sa_handler == SIG_DFL);
  OM_CHECK_EQ(now.sa_flags & kFlags, kFlags);
  OM_CHECK_EQ(sigismember(&now.sa_mask, SIGUSR2), 1);
}

// SPDX-License-Identifier: Apache-2.0
//
// sigaction() tells handlers, flags and masks as the program set them; ignored and default ones
// included.
#include "test/lib/om_test.h"

#include <signal.h>

static void handler(int, siginfo_t*, void*) {}

int main() {
  struct sigaction action {
  }, seen{};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK | SA_NODEFER;
  sigaddset(&action.sa_mask, SIGALRM);
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  OM_CHECK(signal(SIGHUP, SIG_IGN) != SIG_ERR);
  om_test_ready();
  om_test_wait_moved();
  OM_SYS(sigaction(SIGUSR1, nullptr, &seen));
  OM_CHECK(seen.sa_sigaction == handler);
  constexpr int kRestorer = 0x04000000;  // set by the library
  OM_CHECK_EQ(seen.sa_flags & ~kRestorer, action.sa_flags);
  OM_CHECK_EQ(sigismember(&seen.sa_mask, SIGALRM), 1);
  OM_CHECK_EQ(sigismember(&seen.sa_mask, SIGTERM), 0);
  OM_SYS(sigaction(SIGHUP, nullptr, &seen));
  OM_CHECK(seen.sa_handler == SIG_IGN);
  OM_SYS(sigaction(SIGTERM, nullptr, &seen));
  OM_CHECK(seen.sa_handler == SIG_DFL);
  OM_CHECK_EQ(raise(SIGHUP), 0);
  action.sa_flags = SA_SIGINFO | static_cast<int>(SA_RESETHAND);
  OM_SYS(sigaction(SIGUSR1, &action, &seen));
  OM_CHECK(seen.sa_sigaction == handler);
  OM_CHECK_EQ(raise(SIGUSR1), 0);
  OM_SYS(sigaction(SIGUSR1, nullptr, &seen));
  OM_CHECK(seen.sa_handler == SIG_DFL);
  OM_CHECK_ERRNO(sigaction(SIGKILL, &action, nullptr), EINVAL);
}

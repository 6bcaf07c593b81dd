// SPDX-License-Identifier: Apache-2.0
//
// sigtimedwait() without a signal is blocked across the move and gives EAGAIN, not early.
#include "test/lib/om_test.h"

#include <signal.h>

int main() {
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGUSR1);
  OM_SYS(sigprocmask(SIG_BLOCK, &wanted, nullptr));
  timespec limit{1, 300000000};
  om_test_ready_blocking("rt_sigtimedwait");
  int64_t start = om_test_ns();
  OM_CHECK_ERRNO(sigtimedwait(&wanted, nullptr, &limit), EAGAIN);
  OM_CHECK_TIME(start, 1300 * kMilli);
  om_test_wait_moved();
}

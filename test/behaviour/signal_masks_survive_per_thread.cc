// SPDX-License-Identifier: Apache-2.0
//
// Every thread has its own signal mask, unchanged by the move; later changes work and are
// inherited.
#include "test/lib/om_test.h"

#include <signal.h>
#include <string.h>

static sigset_t set_of(int number) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  return set;
}

static void check_only(int number) {
  sigset_t now;
  OM_CHECK_EQ(pthread_sigmask(SIG_BLOCK, nullptr, &now), 0);
  for (int i = 1; i < SIGRTMIN; ++i) OM_CHECK_EQ(sigismember(&now, i), i == number ? 1 : 0);
}

static void use(int number) {
  sigset_t one = set_of(number);
  OM_CHECK_EQ(pthread_sigmask(SIG_SETMASK, &one, nullptr), 0);
  om_test_wait_moved();
  check_only(number);
  sigset_t other = set_of(SIGHUP), old;
  OM_CHECK_EQ(pthread_sigmask(SIG_SETMASK, &other, &old), 0);
  OM_CHECK_EQ(sigismember(&old, number), 1);
  OmThread child([] { check_only(SIGHUP); });
}

int main() {
  om_test_ready();
  OmThread one([] { use(SIGUSR1); });
  OmThread two([] { use(SIGUSR2); });
  use(SIGTERM);
}

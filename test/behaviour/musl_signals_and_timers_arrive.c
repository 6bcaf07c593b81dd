// SPDX-License-Identifier: Apache-2.0
//
// Built with another C library: handlers, masks, values, and a timer whose signals go on during the moves.
// om-libc: musl
#include "test/lib/om_test_c.h"

#include <signal.h>
#include <sys/time.h>

static volatile sig_atomic_t ticks, value;

static void on_tick(int number) { ticks += number == SIGALRM; }
static void on_value(int number, siginfo_t* info, void* context) {
  value = number == SIGUSR1 && context != NULL ? info->si_value.sival_int : -1;
}

int main(void) {
  struct sigaction tick = {0}, valued = {0};
  tick.sa_handler = on_tick;
  valued.sa_sigaction = on_value;
  valued.sa_flags = SA_SIGINFO;
  OM_CHECK(sigaction(SIGALRM, &tick, NULL) == 0 && sigaction(SIGUSR1, &valued, NULL) == 0);
  const struct itimerval often = {{0, 20000}, {0, 20000}};
  OM_CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
  om_test_ready();
  om_test_wait_moved();
  const int before = ticks;
  while (ticks < before + 3) pause();
  sigset_t mask, old;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR1);
  OM_CHECK(sigprocmask(SIG_BLOCK, &mask, &old) == 0);
  OM_CHECK(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 42}) == 0);
  OM_CHECK(value == 0);
  OM_CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
  printf("value %d\n", (int)value);
}

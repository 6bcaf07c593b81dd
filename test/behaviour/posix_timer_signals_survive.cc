// SPDX-License-Identifier: Apache-2.0
//
// timer_create() with SIGEV_SIGNAL: the timer set before the move fires after it with its value;
// overruns are counted; timers made after the move work too.
#include "test/lib/om_test.h"

#include <signal.h>

static volatile sig_atomic_t g_count, g_value;

static void handler(int, siginfo_t* info, void*) {
  OM_CHECK_EQ(info->si_code, SI_TIMER);
  g_value = info->si_value.sival_int;
  g_count = g_count + 1;
}

static timer_t make(int value) {
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGRTMIN + 1;
  event.sigev_value.sival_int = value;
  timer_t timer{};
  OM_SYS(timer_create(CLOCK_MONOTONIC, &event, &timer));
  return timer;
}

static void fire(timer_t timer, int64_t start, int64_t after_ns, int value) {
  while (g_count == 0) continue;
  OM_CHECK_TIME(start, after_ns);
  OM_CHECK_EQ(g_value, value);
  OM_CHECK_EQ(g_count, 1);
  OM_CHECK(timer_getoverrun(timer) >= 0);
  g_count = 0;
}

int main() {
  struct sigaction action {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  OM_SYS(sigaction(SIGRTMIN + 1, &action, nullptr));
  timer_t timer = make(17);
  itimerspec when{};
  when.it_value = {1, 0};
  int64_t start = om_test_ns();
  OM_SYS(timer_settime(timer, 0, &when, nullptr));
  om_test_ready();
  fire(timer, start, kSecond, 17);
  om_test_wait_moved();
  timer_t other = make(18);
  when.it_value = {0, 200000000};
  start = om_test_ns();
  OM_SYS(timer_settime(other, 0, &when, nullptr));
  fire(other, start, 200 * kMilli, 18);
  when.it_value = {50, 0};
  OM_SYS(timer_settime(other, 0, &when, nullptr));
  OmGuardedOut<itimerspec> left;
  OM_SYS(timer_gettime(other, &left));
  OM_CHECK(left->it_value.tv_sec >= 20 && left->it_value.tv_sec <= 50);
  OM_SYS(timer_delete(other));
  OM_SYS(timer_delete(timer));
  OM_CHECK_ERRNO(timer_delete(timer), EINVAL);
}

// SPDX-License-Identifier: Apache-2.0
//
// Timers on CPU-time clocks that are made after the move fire when the time has been used, not before: ITIMER_PROF,
// timers of the process and of one thread, clock_nanosleep() on the clock of the process, and one that only counts.
// om-transient: CPU_TIMER
#include "test/lib/om_test.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include <atomic>

static volatile sig_atomic_t g_prof, g_process, g_thread;
static pid_t g_burner;

static void on_signal(int number, siginfo_t* info, void*) {
  if (number == SIGPROF) {
    g_prof = g_prof + 1;
  } else if (info->si_value.sival_int == 1) {
    OM_CHECK_EQ(info->si_code, SI_TIMER);
    g_process = g_process + 1;
  } else {
    OM_CHECK_EQ(gettid(), g_burner);
    g_thread = g_thread + 1;
  }
}

static timer_t make(clockid_t clock, int how, int value, pid_t tid) {
  struct {
    sigval value;
    int number, how, tid;
    char rest[44];
  } event{};
  event.value.sival_int = value;
  event.number = SIGRTMIN;
  event.how = how;
  event.tid = tid;
  int id = -1;
  OM_SYS(syscall(SYS_timer_create, clock, &event, &id));
  timer_t timer{};
  memcpy(&timer, &id, sizeof id);
  return timer;
}

static void arm(timer_t timer, long ns) {
  const itimerspec when{{0, 0}, {0, ns}};
  int id;
  memcpy(&id, &timer, sizeof id);
  OM_SYS(syscall(SYS_timer_settime, id, 0, &when, nullptr));
}

int main() {
  struct sigaction action {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  OM_SYS(sigaction(SIGPROF, &action, nullptr));
  OM_SYS(sigaction(SIGRTMIN, &action, nullptr));
  om_test_ready();
  om_test_wait_moved();
  const int64_t start = om_test_ns(CLOCK_PROCESS_CPUTIME_ID);
  const itimerval when{{0, 0}, {0, 40000}};
  OM_SYS(setitimer(ITIMER_PROF, &when, nullptr));
  g_burner = gettid();
  const timer_t process = make(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, 1, 0),
                thread = make(CLOCK_THREAD_CPUTIME_ID, SIGEV_THREAD_ID, 2, g_burner),
                silent = make(CLOCK_PROCESS_CPUTIME_ID, SIGEV_NONE, 3, 0);
  arm(process, 50 * kMilli);
  arm(thread, 60 * kMilli);
  arm(silent, 900 * kMilli);
  while (g_prof == 0) continue;
  // This one counts ticks of the kernel.
  OM_CHECK(om_test_ns(CLOCK_PROCESS_CPUTIME_ID) - start >= 20 * kMilli);
  while (g_process == 0) continue;
  OM_CHECK(om_test_ns(CLOCK_PROCESS_CPUTIME_ID) - start >= 50 * kMilli);
  while (g_thread == 0) continue;
  OM_CHECK(om_test_ns(CLOCK_PROCESS_CPUTIME_ID) - start >= 60 * kMilli);
  OmGuardedOut<itimerspec> left;
  int id;
  memcpy(&id, &silent, sizeof id);
  OM_SYS(syscall(SYS_timer_gettime, id, &left));
  OM_CHECK(left->it_value.tv_nsec > 0 && left->it_value.tv_nsec <= 840 * kMilli);
  std::atomic<bool> woken{false};
  OmThread sleeper([&] {
    const int64_t from = om_test_ns(CLOCK_PROCESS_CPUTIME_ID);
    const timespec length{0, 30000000};
    OM_CHECK_EQ(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &length, nullptr), 0);
    OM_CHECK(om_test_ns(CLOCK_PROCESS_CPUTIME_ID) - from >= 30 * kMilli);
    woken = true;
  });
  while (!woken) continue;
  OM_CHECK_EQ(g_prof + g_process + g_thread, 3);
}

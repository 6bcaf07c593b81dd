// SPDX-License-Identifier: Apache-2.0
//
// timer_create() with SIGEV_THREAD: the library's helper thread and its signal go on across the
// move.
#include "test/lib/om_test.h"

#include <semaphore.h>
#include <signal.h>

static sem_t g_fired;

int main() {
  OM_SYS(sem_init(&g_fired, 0, 0));
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD;
  event.sigev_value.sival_int = 9;
  event.sigev_notify_function = [](sigval value) {
    OM_CHECK_EQ(value.sival_int, 9);
    sem_post(&g_fired);
  };
  timer_t timer{};
  OM_SYS(timer_create(CLOCK_REALTIME, &event, &timer));
  itimerspec when{{0, 50000000}, {0, 50000000}};
  int64_t start = om_test_ns();
  OM_SYS(timer_settime(timer, 0, &when, nullptr));
  OM_SYS(sem_wait(&g_fired));
  OM_CHECK_TIME(start, 45 * kMilli);
  om_test_ready();
  om_test_wait_moved();
  for (int i = 0; i < 5; ++i) OM_SYS(sem_wait(&g_fired));
  OM_SYS(timer_delete(timer));
}

// SPDX-License-Identifier: Apache-2.0
//
// sem_wait() blocked across the move gets its post; sem_timedwait() is not early.
#include "test/lib/om_test.h"

#include <semaphore.h>

int main() {
  sem_t semaphore;
  OM_SYS(sem_init(&semaphore, 0, 0));
  om_test_ready_blocking("futex");
  OmThread poster([&] {
    om_test_wait_moved();
    OM_SYS(sem_post(&semaphore));
    OM_SYS(sem_post(&semaphore));
  });
  OM_CHECK_EQ(sem_wait(&semaphore), 0);
  OM_CHECK_EQ(sem_wait(&semaphore), 0);
  OM_CHECK_ERRNO(sem_trywait(&semaphore), EAGAIN);
  int64_t until = om_test_ns() + 300 * kMilli;
  timespec when{until / kSecond, until % kSecond};
  OM_CHECK_ERRNO(sem_clockwait(&semaphore, CLOCK_MONOTONIC, &when), ETIMEDOUT);
  OM_CHECK_TIME(until, 0);
}

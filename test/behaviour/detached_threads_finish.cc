// SPDX-License-Identifier: Apache-2.0
//
// Detached threads that run during the move finish their work; new ones start after it.
#include "test/lib/om_test.h"

#include <semaphore.h>
#include <thread>

static sem_t g_done;

int main() {
  OM_SYS(sem_init(&g_done, 0, 0));
  om_test_ready();
  for (int i = 0; i < 3; ++i) {
    std::thread([] {
      om_test_wait_moved();
      sem_post(&g_done);
    }).detach();
  }
  om_test_wait_moved();
  for (int i = 0; i < 3; ++i) OM_SYS(sem_wait(&g_done));
  for (int i = 0; i < 10; ++i) {
    std::thread([] { sem_post(&g_done); }).detach();
    OM_SYS(sem_wait(&g_done));
  }
}

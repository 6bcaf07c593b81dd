// SPDX-License-Identifier: Apache-2.0
//
// One thread waits for a mutex held during the move; others count under a contended mutex all the
// time.
#include "test/lib/om_test.h"

#include <pthread.h>
#include <atomic>

static pthread_mutex_t g_held = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t g_busy = PTHREAD_MUTEX_INITIALIZER;
static std::atomic<bool> g_moved{false}, g_got{false};
static long g_count, g_inside;

static long work() {
  long mine = 0;
  while (!g_moved || mine < 20000) {
    pthread_mutex_lock(&g_busy);
    OM_CHECK_EQ(++g_inside, 1);
    ++g_count;
    --g_inside;
    pthread_mutex_unlock(&g_busy);
    ++mine;
  }
  return mine;
}

int main() {
  long first = 0, second = 0;
  pthread_mutex_lock(&g_held);
  OmThread one([&] { first = work(); });
  OmThread two([&] { second = work(); });
  OmThread waiter([] {
    om_test_ready_blocking("futex");
    pthread_mutex_lock(&g_held);
    g_got = true;
    pthread_mutex_unlock(&g_held);
  });
  om_test_wait_moved();
  OM_CHECK(!g_got);
  OM_CHECK_EQ(pthread_mutex_trylock(&g_held), EBUSY);
  g_moved = true;
  pthread_mutex_unlock(&g_held);
  for (OmThread* thread : {&waiter, &one, &two}) thread->join();
  OM_CHECK_EQ(g_count, first + second);
  OM_CHECK(g_got);
}

// SPDX-License-Identifier: Apache-2.0
//
// Three threads wait at a barrier during the move; the fourth arrives after it. Then more rounds.
#include "test/lib/om_test.h"

#include <pthread.h>
#include <atomic>

static pthread_barrier_t g_barrier;
static std::atomic<int> g_serial{0}, g_rounds{0};

static void rounds() {
  for (int i = 0; i < 50; ++i) {
    int result = pthread_barrier_wait(&g_barrier);
    OM_CHECK(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD);
    if (result != 0) ++g_serial;
    ++g_rounds;
  }
}

int main() {
  OM_CHECK_EQ(pthread_barrier_init(&g_barrier, nullptr, 4), 0);
  OmThread one(rounds), two(rounds), three(rounds);
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(g_rounds.load(), 0);
  rounds();
  for (OmThread* thread : {&one, &two, &three}) thread->join();
  OM_CHECK_EQ(g_serial.load(), 50);
  OM_CHECK_EQ(g_rounds.load(), 200);
}

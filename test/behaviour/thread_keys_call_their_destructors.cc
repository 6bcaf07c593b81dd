// SPDX-License-Identifier: Apache-2.0
//
// pthread_setspecific values survive per thread; destructors run when threads end after the move.
#include "test/lib/om_test.h"

#include <pthread.h>
#include <atomic>

static pthread_key_t g_key;
static std::atomic<long> g_sum{0};

static void use(long value) {
  OM_CHECK_EQ(pthread_setspecific(g_key, reinterpret_cast<void*>(value)), 0);
  om_test_wait_moved();
  OM_CHECK_EQ(reinterpret_cast<long>(pthread_getspecific(g_key)), value);
}

int main() {
  OM_CHECK_EQ(
      pthread_key_create(&g_key, [](void* value) { g_sum += reinterpret_cast<long>(value); }), 0);
  om_test_ready();
  {
    OmThread one([] { use(100); }), two([] { use(20); });
    use(3);
  }
  OM_CHECK_EQ(g_sum.load(), 120);
  OmThread late([] { OM_CHECK(pthread_getspecific(g_key) == nullptr); });
}

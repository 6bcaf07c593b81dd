// SPDX-License-Identifier: Apache-2.0
//
// Two read locks are held during the move: a writer stays out until both are gone.
#include "test/lib/om_test.h"

#include <pthread.h>
#include <atomic>

static pthread_rwlock_t g_lock = PTHREAD_RWLOCK_INITIALIZER;
static std::atomic<bool> g_written{false};

int main() {
  OM_CHECK_EQ(pthread_rwlock_rdlock(&g_lock), 0);
  OM_CHECK_EQ(pthread_rwlock_rdlock(&g_lock), 0);
  om_test_ready();
  OmThread writer([] {
    pthread_rwlock_wrlock(&g_lock);
    g_written = true;
    pthread_rwlock_unlock(&g_lock);
  });
  om_test_wait_moved();
  OM_CHECK_EQ(pthread_rwlock_trywrlock(&g_lock), EBUSY);
  OM_CHECK_EQ(pthread_rwlock_unlock(&g_lock), 0);
  OM_CHECK(!g_written);
  OM_CHECK_EQ(pthread_rwlock_unlock(&g_lock), 0);
  writer.join();
  OM_CHECK(g_written);
  OM_CHECK_EQ(pthread_rwlock_tryrdlock(&g_lock), 0);
}

// SPDX-License-Identifier: Apache-2.0
//
// A mutex with priority inheritance is held across the move, waited for, handed over, and checked
// for its owner.
#include "test/lib/om_test.h"

#include <pthread.h>
#include <atomic>

int main() {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
  OM_CHECK_EQ(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT), 0);
  pthread_mutex_t mutex;
  if (pthread_mutex_init(&mutex, &attributes) != 0) om_test_skip("no priority inheritance futexes");
  std::atomic<bool> got{false};
  OM_CHECK_EQ(pthread_mutex_lock(&mutex), 0);
  om_test_ready();
  OmThread waiter([&] {
    OM_CHECK_EQ(pthread_mutex_lock(&mutex), 0);
    got = true;
    OM_CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
  });
  om_test_wait_moved();
  OM_CHECK_EQ(pthread_mutex_lock(&mutex), EDEADLK);
  OM_CHECK(!got);
  OM_CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
  waiter.join();
  OM_CHECK(got);
  OM_CHECK_EQ(pthread_mutex_unlock(&mutex), EPERM);
  OM_CHECK_EQ(pthread_mutex_lock(&mutex), 0);
}

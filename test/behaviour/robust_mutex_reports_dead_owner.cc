// SPDX-License-Identifier: Apache-2.0
//
// A thread that ends after the move with a robust mutex locked: the next one gets EOWNERDEAD and
// repairs it.
#include "test/lib/om_test.h"

#include <pthread.h>

int main() {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_t mutex;
  OM_CHECK_EQ(pthread_mutex_init(&mutex, &attributes), 0);
  om_test_ready();
  OmThread owner([&] {
    OM_CHECK_EQ(pthread_mutex_lock(&mutex), 0);
    om_test_wait_moved();
  });
  owner.join();
  OM_CHECK_EQ(pthread_mutex_lock(&mutex), EOWNERDEAD);
  OM_CHECK_EQ(pthread_mutex_consistent(&mutex), 0);
  OM_CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
  OmThread later([&] { OM_CHECK_EQ(pthread_mutex_lock(&mutex), 0); });
  later.join();
  OM_CHECK_EQ(pthread_mutex_lock(&mutex), EOWNERDEAD);
}

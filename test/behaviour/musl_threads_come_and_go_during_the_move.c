// SPDX-License-Identifier: Apache-2.0
//
// Built with another C library, whose threads are made and ended in ways of its own.
// om-libc: musl
#include "test/lib/om_test_c.h"

#include <pthread.h>
#include <stdatomic.h>

static atomic_int moved;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turns;

static void* work(void* argument) {
  volatile double sum = 0;
  for (int i = 1; i <= 200000; i++) sum += 1.0 / i;
  char* memory = malloc(300000);
  memset(memory, *(int*)argument, 300000);
  OM_CHECK(memory[299999] == *(int*)argument);
  free(memory);
  pthread_mutex_lock(&lock);
  turns++;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
  return sum > 12 ? argument : NULL;
}

static void round_of_threads(void) {
  pthread_t thread[4];
  int number[4];
  pthread_mutex_lock(&lock);
  turns = 0;
  pthread_mutex_unlock(&lock);
  for (int i = 0; i < 4; i++) {
    number[i] = i + 1;
    OM_CHECK(pthread_create(&thread[i], NULL, work, &number[i]) == 0);
  }
  pthread_mutex_lock(&lock);
  while (turns < 4) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
  for (int i = 0; i < 4; i++) {
    void* result = NULL;
    OM_CHECK(pthread_join(thread[i], &result) == 0 && result == &number[i]);
  }
}

static void* rounds(void* unused) {
  while (!moved) round_of_threads();
  round_of_threads();
  return unused;
}

int main(void) {
  pthread_t thread;
  OM_CHECK(pthread_create(&thread, NULL, rounds, NULL) == 0);
  om_test_ready();
  om_test_wait_moved();
  moved = 1;
  OM_CHECK(pthread_join(thread, NULL) == 0);
  puts("all threads joined");
}

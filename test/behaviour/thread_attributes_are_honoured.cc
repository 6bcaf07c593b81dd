// SPDX-License-Identifier: Apache-2.0
//
// Threads made after the move with a stack of their own size, a guard page or a given stack.
#include "test/lib/om_test.h"

#include <pthread.h>
#include <sys/mman.h>

static void* touch(void* argument) {
  volatile char frame[150000];
  frame[0] = 1;
  frame[149999] = 1;
  if (argument != nullptr) {
    const volatile char* low = static_cast<char*>(argument);
    OM_CHECK(&frame[0] > low && &frame[0] < low + (1 << 20));
  }
  pthread_attr_t now;
  OM_CHECK_EQ(pthread_getattr_np(pthread_self(), &now), 0);
  size_t bytes = 0;
  OM_CHECK_EQ(pthread_attr_getstacksize(&now, &bytes), 0);
  pthread_attr_destroy(&now);
  return reinterpret_cast<void*>(bytes);
}

int main() {
  om_test_ready();
  om_test_wait_moved();
  pthread_attr_t attributes;
  pthread_t thread;
  void* bytes = nullptr;
  pthread_attr_init(&attributes);
  OM_CHECK_EQ(pthread_attr_setstacksize(&attributes, 256 * 1024), 0);
  OM_CHECK_EQ(pthread_create(&thread, &attributes, touch, nullptr), 0);
  OM_CHECK_EQ(pthread_join(thread, &bytes), 0);
  OM_CHECK_EQ(reinterpret_cast<size_t>(bytes), 256 * 1024);
  void* stack = OM_SYS(mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0));
  OM_CHECK_EQ(pthread_attr_setstack(&attributes, stack, 1 << 20), 0);
  OM_CHECK_EQ(pthread_create(&thread, &attributes, touch, stack), 0);
  OM_CHECK_EQ(pthread_join(thread, &bytes), 0);
  OM_CHECK_EQ(reinterpret_cast<size_t>(bytes), 1 << 20);
}

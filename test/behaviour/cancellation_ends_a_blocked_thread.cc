// SPDX-License-Identifier: Apache-2.0
//
// pthread_cancel() of a thread blocked in read() during the move: clean-up handlers run, join tells
// it.
#include "test/lib/om_test.h"

#include <pthread.h>
#include <stdio.h>

int main() {
  int ends[2];
  OM_SYS(pipe(ends));
  static int s_fd;
  s_fd = ends[0];
  pthread_t thread;
  auto body = [](void*) -> void* {
    pthread_cleanup_push([](void*) { puts("cleaned up"); }, nullptr);
    char c;
    om_test_ready_blocking("read");
    OM_CHECK_EQ(read(s_fd, &c, 1), 1);
    pthread_cleanup_pop(0);
    return nullptr;
  };
  OM_CHECK_EQ(pthread_create(&thread, nullptr, body, nullptr), 0);
  om_test_wait_moved();
  OM_CHECK_EQ(pthread_cancel(thread), 0);
  void* result = nullptr;
  OM_CHECK_EQ(pthread_join(thread, &result), 0);
  OM_CHECK(result == PTHREAD_CANCELED);
}

// SPDX-License-Identifier: Apache-2.0
//
// Built with another C library: a read that blocks during the moves, and a thread that is cancelled in one.
// om-libc: musl
#include "test/lib/om_test_c.h"

#include <pthread.h>

static int data[2], never[2];

static void* cancelled(void* unused) {
  char byte;
  OM_CHECK(read(never[0], &byte, 1) < 0);
  return unused;
}

static void* writer(void* unused) {
  om_test_wait_moved();
  OM_CHECK(write(data[1], "x", 1) == 1);
  return unused;
}

int main(void) {
  pthread_t waits, writes;
  OM_CHECK(pipe(data) == 0 && pipe(never) == 0);
  OM_CHECK(pthread_create(&waits, NULL, cancelled, NULL) == 0);
  om_test_ready_in(SYS_read);
  OM_CHECK(pthread_create(&writes, NULL, writer, NULL) == 0);
  char byte = 0;
  OM_CHECK(read(data[0], &byte, 1) == 1 && byte == 'x');
  void* result = NULL;
  OM_CHECK(pthread_cancel(waits) == 0 && pthread_join(waits, &result) == 0);
  OM_CHECK(pthread_join(writes, NULL) == 0);
  printf("read %c, cancelled %d\n", byte, result == PTHREAD_CANCELED);
}

// SPDX-License-Identifier: Apache-2.0
//
// exit() after the move: exit handlers run in reverse order, static destructors run, buffered
// output comes out, and the status is the one given.
// om-status: exit 42
#include "test/lib/om_test.h"

#include <stdio.h>
#include <stdlib.h>

struct Static {
  ~Static() { printf("static destructor"); }
};
static Static g_static;

int main() {
  atexit([] { puts("first registered"); });
  atexit([] { puts("second registered"); });
  printf("buffered before, ");
  om_test_ready();
  om_test_wait_moved();
  printf("written after\n");
  exit(42);
}

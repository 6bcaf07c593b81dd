// SPDX-License-Identifier: Apache-2.0
//
// setjmp before the move, longjmp after it; and a second jump out of nested calls.
#include "test/lib/om_test.h"

#include <setjmp.h>
#include <stdio.h>

static jmp_buf g_buffer;

[[gnu::noinline]] static void nested(int depth) {
  if (depth > 0) nested(depth - 1);
  if (depth == 0) longjmp(g_buffer, 7);
  puts("not reached");
}

int main() {
  volatile int rounds = 0;
  int value = setjmp(g_buffer);
  if (rounds == 0) {
    rounds = 1;
    om_test_ready();
    om_test_wait_moved();
    longjmp(g_buffer, 3);
  }
  if (rounds == 1) {
    OM_CHECK_EQ(value, 3);
    rounds = 2;
    nested(20);
  }
  OM_CHECK_EQ(value, 7);
  puts("jumped twice");
}

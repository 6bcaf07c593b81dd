// SPDX-License-Identifier: Apache-2.0
//
// Recursion after the move needs megabytes of stack that did not exist before it.
#include "test/lib/om_test.h"

#include <stdio.h>

static int64_t descend(int depth) {
  volatile char frame[1024];
  frame[0] = static_cast<char>(depth);
  frame[1023] = 1;
  if (depth == 0) return 0;
  int64_t below = descend(depth - 1);
  return below + (frame[0] == static_cast<char>(depth)) + frame[1023] - 1;
}

int main() {
  OM_CHECK_EQ(descend(100), 100);
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(descend(6000), 6000);
  OM_CHECK_EQ(descend(6500), 6500);
  puts("back on top");
}

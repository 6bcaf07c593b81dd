// SPDX-License-Identifier: Apache-2.0
//
// A deep recursion is under way during the move; every frame below is intact on the way back.
#include "test/lib/om_test.h"

#include <stdio.h>

static uint64_t descend(int depth, uint64_t value) {
  uint64_t frame[64];
  for (int i = 0; i < 64; ++i) frame[i] = value + static_cast<uint64_t>(i);
  if (depth == 0) {
    om_test_ready();
    om_test_wait_moved();
    return value;
  }
  uint64_t below = descend(depth - 1, value * 31 + 7);
  for (int i = 0; i < 64; ++i) OM_CHECK_EQ(frame[i], value + static_cast<uint64_t>(i));
  return below ^ value;
}

int main() { printf("%llx\n", static_cast<unsigned long long>(descend(5000, 1))); }

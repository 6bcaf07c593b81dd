// SPDX-License-Identifier: Apache-2.0
//
// One thread that makes no system call between the point and the end of its work.
#include "test/lib/om_test.h"

#include <stdio.h>

static bool prime(uint32_t n) {
  for (uint32_t d = 3; d * d <= n; d += 2) {
    if (n % d == 0) return false;
  }
  return true;
}

int main() {
  om_test_ready();
  uint32_t count = 1;
  for (uint32_t n = 3; n < 3000000; n += 2) count += prime(n);
  om_test_wait_moved();
  OM_CHECK_EQ(count, 216816);
  printf("%u primes\n", count);
}

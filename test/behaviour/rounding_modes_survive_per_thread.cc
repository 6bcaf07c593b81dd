// SPDX-License-Identifier: Apache-2.0
//
// MXCSR differs between threads: each keeps its rounding mode, flush-to-zero bit and sticky flags.
#include "test/lib/om_test.h"

#include <fenv.h>
#include <xmmintrin.h>

static void compute(unsigned mode, double want) {
  volatile double one = 1, three = 3;
  unsigned control = (_mm_getcsr() & ~_MM_ROUND_MASK) | mode | _MM_FLUSH_ZERO_ON;
  _mm_setcsr(control);
  volatile double first = one / three;  // sets the inexact flag
  om_test_wait_moved();
  for (int i = 0; i < 100000; ++i) OM_CHECK_EQ(one / three, want);
  OM_CHECK_EQ(first, want);
  OM_CHECK_EQ(_mm_getcsr() & (_MM_ROUND_MASK | _MM_FLUSH_ZERO_MASK), mode | _MM_FLUSH_ZERO_ON);
  OM_CHECK((_mm_getcsr() & _MM_EXCEPT_INEXACT) != 0);
}

int main() {
  om_test_ready();
  OmThread up([] { compute(_MM_ROUND_UP, 0x1.5555555555556p-2); });
  OmThread down([] { compute(_MM_ROUND_DOWN, 0x1.5555555555555p-2); });
  fesetround(FE_TOWARDZERO);
  compute(_MM_ROUND_TOWARD_ZERO, 0x1.5555555555555p-2);
  OM_CHECK_EQ(fegetround(), FE_TOWARDZERO);
}

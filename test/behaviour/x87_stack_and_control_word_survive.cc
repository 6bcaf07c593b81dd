// SPDX-License-Identifier: Apache-2.0
//
// Eight values on the x87 stack and a changed control word (round down, single precision) stay
// live.
#include "test/lib/om_test.h"

extern "C" {
int g_go = 0;
}

int main() {
  double in[8] = {1.5, -2.25, 3.125, 4e10, -5e-10, 6, 7.75, 1e300}, out[8] = {};
  uint16_t control = 0x047f, seen = 0;  // exceptions masked, precision 24 bits, rounding down
  om_test_ready();
  OmThread waiter([] {
    om_test_wait_moved();
    __atomic_store_n(&g_go, 1, __ATOMIC_SEQ_CST);
  });
  asm volatile(
      "fninit\n fldcw %3\n"
      ".irp n,0,1,2,3,4,5,6,7\n fldl 8*\\n(%1)\n.endr\n"
      "1: cmpl $0, g_go(%%rip)\n je 1b\n"
      ".irp n,7,6,5,4,3,2,1,0\n fstpl 8*\\n(%2)\n.endr\n"
      "fnstcw %0\n fninit\n"
      : "=m"(seen)
      : "r"(in), "r"(out), "m"(control)
      : "memory", "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
  for (int i = 0; i < 7; ++i) OM_CHECK_EQ(out[i], in[i]);
  OM_CHECK_EQ(out[7], in[7]);
  OM_CHECK_EQ(seen, control);
}

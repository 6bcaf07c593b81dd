// SPDX-License-Identifier: Apache-2.0
//
// YMM0-15 hold live values while the thread spins in user code.
#include "test/lib/om_test.h"

#include <string.h>

extern "C" {
int g_go = 0;
}

int main() {
  if (!__builtin_cpu_supports("avx")) om_test_skip("no AVX");
  unsigned char in[16 * 32], out[16 * 32] = {};
  for (size_t i = 0; i < sizeof in; ++i) in[i] = static_cast<unsigned char>(i * 11 + 5);
  om_test_ready();
  OmThread waiter([] {
    om_test_wait_moved();
    __atomic_store_n(&g_go, 1, __ATOMIC_SEQ_CST);
  });
  asm volatile(
      ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovdqu 32*\\n(%0), %%ymm\\n\n.endr\n"
      "1: cmpl $0, g_go(%%rip)\n je 1b\n"
      ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovdqu %%ymm\\n, 32*\\n(%1)\n.endr\n"
      "vzeroupper\n"
      :
      : "r"(in), "r"(out)
      : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
        "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  OM_CHECK(memcmp(in, out, sizeof in) == 0);
}

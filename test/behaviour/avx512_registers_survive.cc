// SPDX-License-Identifier: Apache-2.0
//
// ZMM0-31 and the mask registers hold live values while the thread spins in user code.
#include "test/lib/om_test.h"

#include <string.h>

extern "C" {
int g_go = 0;
}

int main() {
  if (!__builtin_cpu_supports("avx512f")) om_test_skip("no AVX-512");
  unsigned char in[32 * 64], out[32 * 64] = {};
  uint16_t masks_in[8], masks_out[8] = {};
  for (size_t i = 0; i < sizeof in; ++i) in[i] = static_cast<unsigned char>(i * 13 + (i >> 8));
  for (size_t i = 0; i < 8; ++i) masks_in[i] = static_cast<uint16_t>(0x1357 * (i + 1));
  om_test_ready();
  OmThread waiter([] {
    om_test_wait_moved();
    __atomic_store_n(&g_go, 1, __ATOMIC_SEQ_CST);
  });
  asm volatile(
      ".irp "
      "n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
      " vmovdqu64 64*\\n(%0), %%zmm\\n\n.endr\n"
      ".irp n,0,1,2,3,4,5,6,7\n kmovw 2*\\n(%2), %%k\\n\n.endr\n"
      "1: cmpl $0, g_go(%%rip)\n je 1b\n"
      ".irp "
      "n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
      " vmovdqu64 %%zmm\\n, 64*\\n(%1)\n.endr\n"
      ".irp n,0,1,2,3,4,5,6,7\n kmovw %%k\\n, 2*\\n(%3)\n.endr\n"
      "vzeroupper\n"
      :
      : "r"(in), "r"(out), "r"(masks_in), "r"(masks_out)
      : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
        "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  OM_CHECK(memcmp(in, out, sizeof in) == 0);
  OM_CHECK(memcmp(masks_in, masks_out, sizeof masks_in) == 0);
}

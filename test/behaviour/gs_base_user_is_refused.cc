// SPDX-License-Identifier: Apache-2.0
//
// A thread that uses the GS base for itself keeps the process at home.
// om-expect: refused GS_BASE
#include "test/lib/om_test.h"

#include <asm/prctl.h>
#include <sys/syscall.h>

int main() {
  static uint64_t s_area[2] = {0x1234, 0x5678};
  OM_SYS(syscall(SYS_arch_prctl, ARCH_SET_GS, s_area));
  om_test_ready();
  om_test_wait_moved();
  uint64_t value = 0, base = 0;
  asm volatile("mov %%gs:8, %0" : "=r"(value));
  OM_CHECK_EQ(value, 0x5678);
  OM_SYS(syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
  OM_CHECK_EQ(base, reinterpret_cast<uint64_t>(s_area));
}

// SPDX-License-Identifier: Apache-2.0
//
// A system call number that no kernel has fails with ENOSYS and changes nothing.
#include "test/lib/om_test.h"

#include <sys/syscall.h>

int main() {
  om_test_ready();
  om_test_wait_moved();
  for (long number : {0x3fffL, 5000L, 999999L}) OM_CHECK_ERRNO(syscall(number, 1, 2, 3), ENOSYS);
  OM_CHECK_ERRNO(syscall(-5L), ENOSYS);
  OM_CHECK_EQ(syscall(SYS_getpid), getpid());
}

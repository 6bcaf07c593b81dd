// SPDX-License-Identifier: Apache-2.0
//
// A process with an io_uring stays at home and can go on using it.
// om-expect: refused IO_URING
#include "test/lib/om_test.h"

#include <linux/io_uring.h>
#include <sys/syscall.h>

int main() {
  io_uring_params parameters{};
  long ring = syscall(SYS_io_uring_setup, 4, &parameters);
  if (ring < 0) om_test_skip("io_uring is not available");
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(syscall(SYS_io_uring_enter, ring, 0, 0, 0, nullptr, 0), 0);
}

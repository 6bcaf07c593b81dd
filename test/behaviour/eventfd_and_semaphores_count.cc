// SPDX-License-Identifier: Apache-2.0
//
// eventfd values and semaphore mode survive; non-blocking reads and writes give EAGAIN at the right
// value.
#include "test/lib/om_test.h"

#include <sys/eventfd.h>

int main() {
  int sum = OM_SYS(eventfd(5, EFD_NONBLOCK)),
      steps = OM_SYS(eventfd(2, EFD_NONBLOCK | EFD_SEMAPHORE));
  om_test_ready();
  om_test_wait_moved();
  uint64_t value = 7;
  OM_CHECK_EQ(write(sum, &value, 8), 8);
  OmGuardedOut<uint64_t> got;
  OM_CHECK_EQ(read(sum, &got, 8), 8);
  OM_CHECK_EQ(*got, 12);
  OM_CHECK_ERRNO(read(sum, &got, 8), EAGAIN);
  for (int i = 0; i < 2; ++i) {
    OM_CHECK_EQ(read(steps, &got, 8), 8);
    OM_CHECK_EQ(*got, 1);
  }
  OM_CHECK_ERRNO(read(steps, &got, 8), EAGAIN);
  value = 0xfffffffffffffffe;
  OM_CHECK_EQ(write(sum, &value, 8), 8);
  value = 1;
  OM_CHECK_ERRNO(write(sum, &value, 8), EAGAIN);
  value = 0xffffffffffffffff;
  OM_CHECK_ERRNO(write(sum, &value, 8), EINVAL);
  OM_CHECK_ERRNO(read(sum, &value, 4), EINVAL);
}

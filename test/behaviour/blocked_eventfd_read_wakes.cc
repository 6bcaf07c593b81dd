// SPDX-License-Identifier: Apache-2.0
//
// read() of an eventfd at zero is blocked across the move and returns the sum written afterwards.
#include "test/lib/om_test.h"

#include <sys/eventfd.h>

int main() {
  int event = OM_SYS(eventfd(0, 0));
  pid_t writer = om_test_helper([&] {
    uint64_t add = 41;
    OM_CHECK_EQ(write(event, &add, 8), 8);
  });
  OmGuardedOut<uint64_t> value;
  om_test_ready_blocking("read");
  OM_CHECK_EQ(read(event, &value, 8), 8);
  OM_CHECK_EQ(*value, 41);
  om_test_join(writer);
}

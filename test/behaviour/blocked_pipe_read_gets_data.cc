// SPDX-License-Identifier: Apache-2.0
//
// read() of an empty pipe is blocked across the move and returns what is written afterwards, then
// EOF.
#include "test/lib/om_test.h"

#include <string.h>

int main() {
  int ends[2];
  OM_SYS(pipe(ends));
  pid_t writer = om_test_helper([&] { OM_CHECK_EQ(write(ends[1], "after the move", 14), 14); });
  close(ends[1]);
  OmGuarded buffer(100);
  om_test_ready_blocking("read");
  OM_CHECK_EQ(read(ends[0], buffer.data(), 100), 14);
  OM_CHECK(memcmp(buffer.data(), "after the move", 14) == 0);
  om_test_join(writer);
  OM_CHECK_EQ(read(ends[0], buffer.data(), 100), 0);
}

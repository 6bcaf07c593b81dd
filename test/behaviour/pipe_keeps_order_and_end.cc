// SPDX-License-Identifier: Apache-2.0
//
// Bytes written before, during and after the move come out in order, then the end of file.
#include "test/lib/om_test.h"

#include <string.h>

int main() {
  int ends[2];
  OM_SYS(pipe(ends));
  OM_CHECK_EQ(write(ends[1], "before,", 7), 7);
  pid_t other = om_test_helper([&] { OM_CHECK_EQ(write(ends[1], "outside,", 8), 8); });
  om_test_ready();
  om_test_wait_moved();
  om_test_join(other);
  OM_CHECK_EQ(write(ends[1], "after", 5), 5);
  close(ends[1]);
  OmGuarded text(20);
  OM_CHECK_EQ(read(ends[0], text.data(), 3), 3);
  OM_CHECK_EQ(read(ends[0], text.data() + 3, 17), 17);
  OM_CHECK(memcmp(text.data(), "before,outside,after", 20) == 0);
  OM_CHECK_EQ(read(ends[0], text.data(), 20), 0);
}

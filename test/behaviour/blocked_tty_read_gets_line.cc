// SPDX-License-Identifier: Apache-2.0
//
// A canonical read of a terminal is blocked across the move and returns exactly the line that is
// typed.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

int main() {
  int master = OM_SYS(posix_openpt(O_RDWR | O_NOCTTY));
  OM_SYS(grantpt(master));
  OM_SYS(unlockpt(master));
  int slave = OM_SYS(open(ptsname(master), O_RDWR | O_NOCTTY));
  pid_t typist = om_test_helper([&] { OM_CHECK_EQ(write(master, "first\nsecond\n", 13), 13); });
  char line[64];
  om_test_ready_blocking("read");
  OM_CHECK_EQ(read(slave, line, sizeof line), 6);
  OM_CHECK(memcmp(line, "first\n", 6) == 0);
  OM_CHECK_EQ(read(slave, line, sizeof line), 7);
  OM_CHECK(memcmp(line, "second\n", 7) == 0);
  om_test_join(typist);
}

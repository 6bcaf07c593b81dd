// SPDX-License-Identifier: Apache-2.0
//
// A program that appends a line now and then leaves exactly the file of the native run.
// om-points: moves
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

int main() {
  int fd = OM_SYS(open("log", O_WRONLY | O_CREAT | O_APPEND, 0644));
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 200; ++i) {
      char line[32];
      int bytes = snprintf(line, sizeof line, "round %d line %d\n", round, i);
      OM_CHECK_EQ(write(fd, line, static_cast<size_t>(bytes)), bytes);
      if (i == 100 && round < om_test_moves()) om_test_ready();
    }
    if (round < om_test_moves()) om_test_wait_moved();
  }
  OM_CHECK_EQ(close(fd), 0);
}

// SPDX-License-Identifier: Apache-2.0
//
// exit() called by a thread ends the process with its status while the others compute and block.
// om-status: exit 9
#include "test/lib/om_test.h"

#include <stdio.h>
#include <stdlib.h>

int main() {
  int ends[2];
  OM_SYS(pipe(ends));
  om_test_ready();
  OmThread spinner([] {
    for (;;) asm volatile("");
  });
  OmThread blocker([&] {
    char c;
    OM_CHECK_EQ(read(ends[0], &c, 1), 1);
  });
  OmThread leaver([] {
    om_test_wait_moved();
    puts("leaving");
    exit(9);
  });
  leaver.join();
}

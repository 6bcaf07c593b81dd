// SPDX-License-Identifier: Apache-2.0
//
// A program that reads the time stamp counter itself reads the one of the machine that it runs on: nothing traps or
// adjusts it. Where all nodes are one machine, as here, it agrees with what a process at home reads in between.
#include "test/lib/om_test.h"

#include <stdio.h>
#include <x86intrin.h>

int main() {
  int ask[2], answer[2];
  OM_SYS(pipe(ask));
  OM_SYS(pipe(answer));
  const pid_t helper = om_test_helper([&] {
    char c;
    close(ask[1]);
    while (read(ask[0], &c, 1) == 1) {
      const uint64_t here = __rdtsc();
      OM_CHECK_EQ(write(answer[1], &here, sizeof here), sizeof here);
    }
  });
  close(ask[0]);
  om_test_ready();
  om_test_wait_moved();
  for (int i = 0; i < 20; i++) {
    uint64_t there = 0;
    const uint64_t before = __rdtsc();
    OM_CHECK_EQ(write(ask[1], "?", 1), 1);
    OM_CHECK_EQ(read(answer[0], &there, sizeof there), sizeof there);
    const uint64_t after = __rdtsc();
    OM_CHECK(before <= there);
    OM_CHECK(there <= after);
  }
  close(ask[1]);
  om_test_join(helper);
  puts("one counter");
}

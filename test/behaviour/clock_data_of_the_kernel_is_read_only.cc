// SPDX-License-Identifier: Apache-2.0
//
// The kernel's data beside the vDSO ([vvar]) cannot be made writable, and clocks work after the attempt.
#include "test/lib/om_test.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

int main() {
  FILE* maps = fopen("/proc/self/maps", "r");
  OM_CHECK(maps != nullptr);
  char line[512];
  unsigned long start = 0;
  while (start == 0 && fgets(line, sizeof line, maps) != nullptr) {
    if (strstr(line, "[vvar]") != nullptr) OM_CHECK_EQ(sscanf(line, "%lx-", &start), 1);
  }
  fclose(maps);
  if (start == 0) om_test_skip("no [vvar]");
  om_test_ready();
  om_test_wait_moved();
  auto* at = reinterpret_cast<void*>(start);
  OM_CHECK_ERRNO(mprotect(at, 4096, PROT_READ | PROT_WRITE), EACCES);
  timespec now;
  OM_SYS(clock_gettime(CLOCK_MONOTONIC, &now));
  OM_CHECK(now.tv_sec > 0 || now.tv_nsec > 0);
}

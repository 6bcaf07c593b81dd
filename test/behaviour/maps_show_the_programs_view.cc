// SPDX-License-Identifier: Apache-2.0
//
// /proc/self/maps shows mappings and protections made before and after the move; /proc/self/stat
// the pid.
#include "test/lib/om_test.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

// Permissions that /proc/self/maps gives for an address, "" if nothing is mapped there.
static const char* permissions(const void* address) {
  static char found[8];
  found[0] = 0;
  FILE* maps = fopen("/proc/self/maps", "r");
  OM_CHECK(maps != nullptr);
  char line[600];
  while (fgets(line, sizeof line, maps) != nullptr) {
    unsigned long low = 0, high = 0;
    char flags[8] = {};
    OM_CHECK_EQ(sscanf(line, "%lx-%lx %7s", &low, &high, flags), 3);
    auto at = reinterpret_cast<unsigned long>(address);
    if (at >= low && at < high) strcpy(found, flags);
  }
  fclose(maps);
  return found;
}

int main() {
  auto map = [](int prot) {
    return static_cast<char*>(
        OM_SYS(mmap(nullptr, 12288, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
  };
  char* before = map(PROT_READ);
  om_test_ready();
  om_test_wait_moved();
  char* after = map(PROT_READ | PROT_WRITE);
  OM_CHECK_EQ(permissions(before), "r--p");
  OM_CHECK_EQ(permissions(after), "rw-p");
  OM_SYS(mprotect(after + 4096, 4096, PROT_READ | PROT_EXEC));
  OM_CHECK_EQ(permissions(after + 4096), "r-xp");
  OM_CHECK_EQ(permissions(after + 8192), "rw-p");
  OM_SYS(munmap(before, 12288));
  OM_CHECK_EQ(permissions(before), "");
  OM_CHECK_EQ(permissions(reinterpret_cast<void*>(&permissions)), "r-xp");
  FILE* stat = fopen("/proc/self/stat", "r");
  OM_CHECK(stat != nullptr);
  int pid = 0;
  OM_CHECK_EQ(fscanf(stat, "%d", &pid), 1);
  OM_CHECK_EQ(pid, getpid());
  fclose(stat);
}

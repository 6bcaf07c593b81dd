// SPDX-License-Identifier: Apache-2.0
//
// A shared mapping of a memfd that the process has open as well stays at home: what it stores through the one must
// be what it reads through the other.
// om-expect: refused SHARED_WRITABLE
#include "test/lib/om_test.h"

#include <string.h>
#include <sys/mman.h>

int main() {
  int fd = OM_SYS(memfd_create("twice", 0));
  OM_SYS(ftruncate(fd, 4096));
  auto* map = static_cast<char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  OM_CHECK(map != MAP_FAILED);
  om_test_ready();
  om_test_wait_moved();
  strcpy(map, "stored");
  char text[7] = {};
  OM_CHECK_EQ(pread(fd, text, 6, 0), 6);
  OM_CHECK(strcmp(text, "stored") == 0);
  OM_CHECK_EQ(pwrite(fd, "W", 1, 0), 1);
  OM_CHECK_EQ(map[0], 'W');
}
